"""What a run has measured, by key: in memory, and in one file of records per process; a run may be continued and grow.

An experiment says how its records are written, read and told apart; the log keeps them, and refuses to go on with the
records of another run before anything is written.
"""

import json
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Generic, TypeVar

from hallulab.errors import RefusedInputError
from hallulab.experiments.workers import Workers, process_path, process_paths
from hallulab.records import RecordFile, as_plain, as_tuples, library_versions

Item = TypeVar("Item")
Kind = TypeVar("Kind")
Settings = TypeVar("Settings")
Record = Mapping[str, Any]
SETTINGS = "settings"
"""kind of the records that say what was asked for"""


@dataclass(frozen=True)
class RecordFormat(Generic[Item]):
    """How an experiment's measurements become lines of a file."""

    experiment: str
    """such as "a resemblance run": what a refusal calls it"""
    to_record: Callable[[Item], dict[str, Any]]
    from_record: Callable[[dict[str, Any]], Item | None]
    """None for a line of another kind; RefusedInputError for one of another version"""
    key_of: Callable[[Item], Hashable]
    """equal for two measurements of the same thing, of which the later one counts"""


def record_format(
    experiment: str,
    kinds: Mapping[str, type[Any]],
    key_of: Callable[[Any], Hashable],
    *,
    nested: Mapping[str, type[Any]] | None = None,
) -> RecordFormat[Any]:
    """Measurements that are dataclasses of plain values, one line each.

    Args:
        experiment, key_of: as `RecordFormat`.
        kinds: what a line calls itself → what it holds.
        nested: name of a field that holds a dataclass → which; such a field may be None.
    """
    kind_of = {cls: kind for kind, cls in kinds.items()}

    def to_record(item: Any) -> dict[str, Any]:
        return {"kind": kind_of[type(item)]} | {one.name: getattr(item, one.name) for one in fields(item)}

    def from_record(record: Record) -> Any:
        cls = kinds.get(record.get("kind", ""))
        if cls is None:
            return None
        values = {one.name: as_tuples(record[one.name]) for one in fields(cls) if one.name in record}
        try:
            made = {name: of(**values[name]) for name, of in (nested or {}).items() if values.get(name)}
            return cls(**values | made)
        except TypeError as error:
            raise RefusedInputError(
                f"expected the records of {experiment} of this version, found others ({error}): run it again in "
                "another folder"
            ) from error

    return RecordFormat(experiment, to_record, from_record, key_of)


@dataclass(frozen=True)
class QuestionsHeader(Generic[Settings]):
    """What a run over one set of questions says about itself."""

    experiment: str
    """as `RecordFormat`"""
    settings_type: type[Settings]
    """a dataclass of plain values and tuples of them"""
    may_grow: tuple[str, ...]
    """settings that may change from one command to the next"""

    def written(self, settings: Any, questions_sha256: str) -> dict[str, Any]:
        """The header, versions of libraries aside."""
        return {"settings": asdict(settings), "questions_sha256": questions_sha256}

    def settings(self, header: Record) -> Settings:
        """What `written` was given; RefusedInputError for another version's."""
        try:
            return self.settings_type(**{k: as_tuples(v) for k, v in header["settings"].items()})
        except (KeyError, TypeError) as error:
            raise RefusedInputError(
                f"expected the settings of {self.experiment} of this version, got others ({error}): run it again in "
                "another folder"
            ) from error

    def decides(self, header: Record) -> dict[str, Any]:
        """What two runs must agree in to be the same."""
        asked = vars(self.settings(header)).items()
        return {k: v for k, v in asked if k not in self.may_grow} | {
            "questions": header.get("questions_sha256")
        }


class RunLog(Generic[Item]):
    """What the run has measured.

    Args:
        form: of the records.
        records: the first process's file; None keeps everything in memory alone.
        workers: whose files are read, and which of them is written.
    """

    def __init__(self, form: RecordFormat[Item], records: RecordFile | None, workers: Workers | None = None):
        self._form, self._records = form, records
        self._workers = workers or Workers()
        self.items: dict[Hashable, Item] = {}
        """key → what was measured, in the order of the first time"""
        self.headers: list[dict[str, Any]] = []
        """what was asked for, each time something new was"""
        self.reload()

    def reload(self) -> None:
        """Read what every process has written."""
        if self._records is None:
            return
        found = [record for path in process_paths(self._records.path) for record in RecordFile(path).read()]
        self.headers = [record for record in found if record.get("kind") == SETTINGS]
        for item in map(self._form.from_record, found):
            if item is not None:
                self.items[self._form.key_of(item)] = item

    def check(self, decides: Mapping[str, Any], read: Callable[[Record], Mapping[str, Any]]) -> None:
        """Refuse to go on with another run.

        Args:
            decides: what two runs must agree in to be the same.
            read: the same of a header; it refuses those of another version.
        """
        for header in self.headers:
            theirs = read(header)
            differing = [name for name, value in decides.items() if theirs.get(name) != value]
            if differing and self._records:
                raise RefusedInputError(
                    f"expected a run with the same settings in {self._records.path}, got another "
                    f"{', '.join(differing)}: choose another folder"
                )
        if self.items and not self.headers and self._records:
            raise RefusedInputError(
                f"expected the settings of {self._form.experiment} in {self._records.path}, found records without "
                "them: choose another folder"
            )

    def begin(self, header: Record) -> None:
        """Write what is asked for, where no header says the same; the first process does so for all of a launch."""
        asked = json.loads(
            json.dumps(as_plain({"kind": SETTINGS} | dict(header)))
        )  # as it reads once written
        is_new = asked not in [{k: v for k, v in one.items() if k != "versions"} for one in self.headers]
        if is_new:
            self.headers.append(asked | {"versions": library_versions()})
        if is_new and self._records and self._workers.index == 0:
            self._records.append(self.headers[-1])
        self._workers.wait()

    def keep(self, items: Iterable[Item]) -> None:
        """Keep measurements, in this process's file as well."""
        kept = list(items)
        self.items |= {self._form.key_of(item): item for item in kept}
        if self._records and kept:
            path = process_path(self._records.path, self._workers.index)
            RecordFile(path).append_all(map(self._form.to_record, kept))

    def keep_new(self, items: Iterable[Item]) -> None:
        """Keep what is not there yet."""
        self.keep([item for item in items if self._form.key_of(item) not in self.items])

    def of_type(self, kind: type[Kind]) -> list[Kind]:
        """Measurements of one type."""
        return [item for item in self.items.values() if isinstance(item, kind)]

    def check_weights(self, found: Any) -> None:
        """Refuse other weights under the name of earlier ones.

        Args:
            found: an item with `checkpoint`, `model` and `sha256`.
        """
        earlier: Any = self.items.get(self._form.key_of(found))
        if earlier and (earlier.model, earlier.sha256) != (found.model, found.sha256):
            raise RefusedInputError(
                f"expected the same weights of {found.checkpoint} as when this run was begun, found others: choose "
                "another folder"
            )
