"""What a run that asks checkpoint after checkpoint keeps of itself: its settings, and whose weights answered."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hallulab.errors import RefusedInputError
from hallulab.records import RecordFile, as_plain


@dataclass(frozen=True)
class AskedModel:
    """A checkpoint that was asked."""

    checkpoint: str
    model: str
    sha256: str
    """of base and adapter; empty for models from the Hub"""
    is_base: bool = False
    """whether it is the preset's base; also False in records older than this field"""


def asked_model(record: Mapping[str, Any]) -> AskedModel:
    """The model that a record of kind `model` holds."""
    return AskedModel(**{key: value for key, value in record.items() if key != "kind"})


class CheckpointLog:
    """The models of a run, in memory and in its file.

    Args:
        records: where the run is kept; None keeps nothing.
    """

    def __init__(self, records: RecordFile | None):
        self.models: dict[str, AskedModel] = {}
        self.records = records
        self.found: list[dict[str, Any]] = records.read() if records else []
        """what earlier runs left in the file"""

    def keep_model(self, model: AskedModel) -> None:
        """Keep who is asked; RefusedInputError for other weights under the name of earlier ones."""
        earlier = self.models.get(model.checkpoint)
        if earlier and (earlier.model, earlier.sha256) != (model.model, model.sha256):
            raise RefusedInputError(
                f"expected the same weights of {model.checkpoint} as when this run was begun, found others: choose "
                "another folder"
            )
        self.models[model.checkpoint] = model
        if self.records and earlier is None:
            self.records.append({"kind": "model"} | asdict(model))

    def check_headers(self, settings: Any, questions_sha256: str, *, may_grow: Sequence[str]) -> None:
        """RefusedInputError when the file belongs to a run with other settings or questions."""
        ours = as_plain(asdict(settings))
        for header in (record for record in self.found if record.get("kind") == "settings"):
            theirs = header.get("settings", {})
            differing = [name for name in ours if name not in may_grow and theirs.get(name) != ours[name]]
            if header.get("questions_sha256") != questions_sha256:
                differing.append("questions")
            if differing and self.records:
                raise RefusedInputError(
                    f"expected a run with the same settings in {self.records.path}, got another "
                    f"{', '.join(differing)}: choose another folder"
                )
