"""What one measurement leaves behind: JSON lines, versions, content hashes, checkpoint cards."""

import hashlib
import json
import math
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from hallulab.errors import RefusedInputError

RECORDED_LIBRARIES = (
    "accelerate", "cydifflib", "datasets", "diffusers", "gradio", "numpy", "open_clip_torch", "peft",
    "scikit-learn", "scipy", "tokenizers", "torch", "transformers", "trl",
)  # fmt: skip
CARD_FILES = ("README.md", "card.json")


def as_plain(value: Any) -> Any:
    """A copy of `value` that JSON can hold: lists for arrays, dicts for dataclasses, None for numbers not finite."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): as_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(item) for item in value]
    if is_dataclass(value):
        return {field.name: as_plain(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "tolist"):  # numpy arrays and scalars
        return as_plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Path):
        return str(value)
    return value


def as_tuples(value: Any) -> Any:
    """`value` as read from JSON, its lists and the lists in them as tuples again."""
    return tuple(map(as_tuples, value)) if isinstance(value, list) else value


class RecordFile:
    """Append-only JSON lines, one measurement each; a line torn by a kill is dropped when read."""

    def __init__(self, path: Path | str):
        self.path = Path(path)

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one record and wait until it is on the disk."""
        self.append_all([record])

    def append_all(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Write records, one line each, and wait once until they are on the disk."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = [
            json.dumps(as_plain(record), ensure_ascii=False, allow_nan=False) + "\n" for record in records
        ]
        with self.path.open("a+b") as file:
            if file.tell() and not self._ends_with_newline():
                file.write(b"\n")
            file.write("".join(lines).encode())
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> list[dict[str, Any]]:
        """Every whole record, in the order written; none when the file does not exist."""
        if not self.path.exists():
            return []
        records = []
        # not splitlines(): it would cut a text at every U+2028 and U+0085, which JSON leaves as they are
        for line in self.path.read_text(encoding="utf-8", errors="replace").split("\n"):
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(record, dict):
                records.append(record)
        return records

    def _ends_with_newline(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"


def library_versions() -> dict[str, str]:
    """Python's version and that of every library a number can depend on."""
    versions = {"python": platform.python_version()}
    for name in RECORDED_LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def file_sha256(path: Path | str) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checkpoint_files(folder: Path | str) -> tuple[Path, ...]:
    """The files below a checkpoint folder that decide what it computes: all but its card, sorted."""
    root = Path(folder)
    if not root.is_dir():
        raise RefusedInputError(f"expected a checkpoint folder, found none at {root}: check its path")
    own_card = {root / name for name in CARD_FILES}
    return tuple(path for path in sorted(root.rglob("*")) if path.is_file() and path not in own_card)


def folder_sha256(folder: Path | str) -> str:
    """One hash of a checkpoint folder: names and bytes of `checkpoint_files`."""
    root = Path(folder)
    digest = hashlib.sha256()
    for path in checkpoint_files(root):
        digest.update(f"{path.relative_to(root).as_posix()} {file_sha256(path)}\n".encode())
    return digest.hexdigest()


def write_card(
    folder: Path | str, *, title: str, base: str, data: str, command: str, seed: int, notes: str = ""
) -> None:
    """Write a checkpoint's card: `card.json` for `check_card`, `README.md` for people.

    Args:
        folder: the finished checkpoint.
        title: what it is, in a few words.
        base: what it was trained from ("nothing" for a model trained from scratch).
        data: what it was trained on.
        command: the command that rebuilds it.
        seed: the seed of that command.
        notes: what a user must know, as Markdown.
    """
    root = Path(folder)
    files = {path.relative_to(root).as_posix(): file_sha256(path) for path in checkpoint_files(root)}
    card = {
        "title": title, "base": base, "data": data, "command": command, "seed": seed,
        "versions": library_versions(), "files": files,
    }  # fmt: skip
    (root / "card.json").write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    rows = "\n".join(f"| `{name}` | `{sha256}` |" for name, sha256 in files.items())
    lines = [
        f"# {title}", "", f"- Base: {base}", f"- Data: {data}", f"- Command: `{command}`", f"- Seed: {seed}",
        "", *([notes.strip(), ""] if notes.strip() else []), "| file | SHA-256 |", "|---|---|", rows, "",
    ]  # fmt: skip
    (root / "README.md").write_text("\n".join(lines), encoding="utf-8")


def check_card(folder: Path | str) -> list[str]:
    """What is wrong with a checkpoint, one sentence each; an empty list when its files match its card."""
    root = Path(folder)
    card_path = root / "card.json"
    if not card_path.exists():
        return [f"no card.json in {root}"]
    try:
        expected = json.loads(card_path.read_text(encoding="utf-8"))["files"]
    except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError):
        return [f"{card_path} is not a card"]
    found = {path.relative_to(root).as_posix(): path for path in checkpoint_files(root)}
    missing = [f"{name} is missing" for name in expected if name not in found]
    extra = [f"{name} is not on the card" for name in found if name not in expected]
    changed = [
        f"{name} does not match its SHA-256"
        for name, path in found.items()
        if name in expected and file_sha256(path) != expected[name]
    ]
    return missing + extra + changed
