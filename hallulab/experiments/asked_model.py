"""Who is asked in an experiment on language models."""

from dataclasses import dataclass

from hallulab.engine.core import Engine


@dataclass(frozen=True)
class AskedModel:
    """A checkpoint that was asked."""

    checkpoint: str
    model: str
    sha256: str
    """of base and adapter; empty for models from the Hub"""
    is_base: bool = False
    """whether it is the preset's base; also False in records older than this field"""


def asked_model(engine: Engine, checkpoint: str) -> AskedModel:
    """A checkpoint of the engine's preset, loaded; call it inside a job."""
    qwen = engine.qwen(checkpoint)
    return AskedModel(checkpoint, qwen.name, qwen.sha256, checkpoint == engine.preset.words.base_name)
