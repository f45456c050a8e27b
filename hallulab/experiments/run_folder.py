"""A run that keeps its records in one folder: who writes there, which files they are, whether it is the same run."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from hallulab.engine.presets import is_local
from hallulab.errors import RefusedInputError
from hallulab.records import RecordFile, as_plain, folder_sha256

LOCK_FILE = ".lock"
SETTINGS = "settings"
"""kind of the record at the head of a run"""
MAX_SHOWN = 60
"""characters of a value that a refusal shows"""


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold a run's folder; a process that dies lets go of it.

    Raises RefusedInputError while another run holds it.
    """
    lock = FileLock(folder / LOCK_FILE)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise RefusedInputError(
            f"expected a folder that no other run is writing to, got {folder}, where one is: wait for it to end, or "
            "choose another folder"
        ) from error
    try:
        yield
    finally:
        lock.release()


def record_files(folder: Path, pattern: str) -> list[Path]:
    """The files of a folder whose names match, sorted; folders of such a name are none."""
    return [path for path in sorted(folder.glob(pattern)) if path.is_file()]


def begin_or_continue(
    file: RecordFile, decides: Mapping[str, Any], about: Callable[[], Mapping[str, Any]] = dict
) -> list[dict[str, Any]]:
    """The records of a run, after its header is written where there is none yet.

    Args:
        file: of the run; empty or missing for a new one.
        decides: what two runs must agree in to be the same; nested settings are compared one by one.
        about: what else a new header holds.

    Raises RefusedInputError for records of another run, which names what differs, and for records without a header.
    """
    found = file.read()
    if not found:
        file.append({"kind": SETTINGS} | dict(decides) | dict(about()))
        return file.read()
    headers = [record for record in found if record.get("kind") == SETTINGS]
    if len(headers) != 1:
        raise RefusedInputError(
            f"expected one line of settings in {file.path}, found {len(headers)} beside {len(found)} records: "
            "choose another folder"
        )
    ours = json.loads(json.dumps(as_plain(decides)))  # as it reads once written
    theirs = {name: headers[0].get(name) for name in ours}
    differing = _differing(theirs, ours)
    if differing:
        raise RefusedInputError(
            f"expected to go on with the run in {file.path.parent}, with "
            f"{', '.join(f'{name} {_shown(value)}' for name, value, _ in differing)}; got "
            f"{', '.join(f'{name} {_shown(value)}' for name, _, value in differing)}: repeat its command, or choose "
            "another folder"
        )
    return found


def content_hash(place: str) -> str | None:
    """Of a local checkpoint's folder; None for one on the Hub."""
    return folder_sha256(place) if is_local(place) and Path(place).is_dir() else None


def _differing(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(name, theirs, ours) of everything that is not equal, settings within settings one by one."""
    found = []
    for name in dict.fromkeys([*ours, *theirs]):
        first, second = theirs.get(name), ours.get(name)
        if isinstance(first, dict) and isinstance(second, dict):
            found += _differing(first, second)
        elif first != second:
            found.append((name, first, second))
    return found


def _shown(value: Any) -> str:
    written = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return written if len(written) <= MAX_SHOWN else written[: MAX_SHOWN - 1] + "…"
