"""Pictures while they are still being denoised, at a bounded cost: what the model thinks they will become."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

from PIL import Image
from torch import Tensor

from hallulab.engine.core import Engine
from hallulab.engine.pictures import decode_latents

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline

MAX_SHARE = 0.1
"""of a job's time that its previews may take"""

Step = TypeVar("Step")
Preview = tuple[Image.Image, ...]


class Previews:
    """Decodes predicted clean latents, but only as often as the decoding's own cost allows.

    Args:
        pipeline: whose autoencoder decodes.
        max_share: of the time since the last preview that the next one may take, in (0, 1).
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        pipeline: "StableDiffusionPipeline",
        *,
        max_share: float = MAX_SHARE,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._pipeline, self._clock = pipeline, clock
        self._waits_per_cost = (1 - max_share) / max_share
        self._cost_s = 0.0
        self._ended_s = clock()

    def of(self, predicted_x0: Tensor) -> Preview | None:
        """The batch as it is predicted to become; None when it is too early for another look."""
        started_s = self._clock()
        if started_s - self._ended_s < self._cost_s * self._waits_per_cost:
            return None
        pictures = tuple(decode_latents(self._pipeline, predicted_x0))
        self._ended_s = self._clock()
        self._cost_s = self._ended_s - started_s
        return pictures


def with_previews(
    engine: Engine, checkpoint: str | None, steps: Iterator[Step]
) -> Iterator[tuple[Step, Preview | None]]:
    """A painting job's steps, some with previews of the batch being painted; closing it closes the job.

    Args:
        engine: whose painter's autoencoder decodes, while the job holds the device.
        checkpoint: who paints.
        steps: of a job whose steps have `predicted_x0`, None where nothing is being denoised.
    """
    previews: Previews | None = None
    with closing(steps):  # type: ignore[type-var]  # every job is a generator
        for step in steps:
            predicted_x0: Any = getattr(step, "predicted_x0", None)
            if predicted_x0 is None:
                yield step, None
                continue
            if previews is None:
                previews = Previews(engine.painter(checkpoint))
            yield step, previews.of(predicted_x0)


def without_previews(steps: Iterator[Step]) -> Iterator[tuple[Step, None]]:
    """The same for who does not look: the steps alone."""
    with closing(steps):  # type: ignore[type-var]
        for step in steps:
            yield step, None
