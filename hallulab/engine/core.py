"""The engine: one device, one queue and one memory budget for every model of a preset."""

import hashlib
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from hallulab.engine.adapters import AdapterSwitch
from hallulab.engine.device import choose_device, choose_dtype, default_budget_bytes, keep_freed_memory
from hallulab.engine.job_queue import JobQueue, Ticket
from hallulab.engine.memory import PartRecipe, PartStore
from hallulab.engine.placement import weights_bytes
from hallulab.engine.presets import Kind, Preset, is_local, local_folder
from hallulab.errors import RefusedInputError
from hallulab.models.attribute_probe import LoadedProbe, load_probe
from hallulab.models.clip import LoadedClip, load_clip
from hallulab.models.qwen import LoadedQwen, load_qwen
from hallulab.records import folder_sha256


class Engine:
    """Loads the models of a preset when they are first asked for, and says whose turn the device is.

    Compute with what it returns only inside a job: the models are shared by all visitors.

    Args:
        preset: the world.
        device: "cpu", "cuda:1", …; accelerate chooses when None.
        memory_budget_bytes: what models may fill on the device; a share of what is free when None.
    """

    def __init__(self, preset: Preset, *, device: str | None = None, memory_budget_bytes: int | None = None):
        self.preset = preset
        self.device = choose_device(device)
        if self.device.type == "cpu":
            keep_freed_memory()
        self.queue = JobQueue()
        budget_bytes = memory_budget_bytes or default_budget_bytes(self.device)
        self._sha256: dict[str, str] = {}
        self._store = PartStore(self.device, budget_bytes, holder=lambda: self.queue.holder)

    def job(self, label: str) -> AbstractContextManager[Ticket]:
        """Wait for the turn, then hold the device inside the `with` block. Not re-entrant."""
        return self.queue.job(label)

    def enter(self, label: str) -> Ticket:
        """A place in the queue without waiting for the turn, for those who show it: see `Ticket`."""
        return self.queue.enter(label)

    @property
    def n_waiting(self) -> int:
        """Jobs that wait for the device."""
        return self.queue.n_waiting

    @property
    def memory_budget_bytes(self) -> int:
        """What models may fill on the device."""
        return self._store.budget_bytes

    def resident_bytes(self) -> dict[str, int]:
        """Part → bytes it fills on the device, least recently used first."""
        return self._store.resident()

    def checkpoint_names(self, kind: Kind) -> tuple[str, ...]:
        """Names a person may choose from, the base first."""
        return tuple(self.preset.checkpoints(kind))

    def default_checkpoint(self, kind: Kind) -> str:
        """The checkpoint used when nobody names one."""
        return self.preset.default_checkpoint(kind)

    def checkpoint_place(self, kind: Kind, name: str | None = None) -> str:
        """Folder or Hub id of a checkpoint; RefusedInputError lists the known names."""
        places = self.preset.checkpoints(kind)
        name = self.default_checkpoint(kind) if name is None else name
        if not isinstance(name, str) or name not in places:
            raise RefusedInputError(f"unknown checkpoint {name!r} for {kind}: use one of {', '.join(places)}")
        return places[name]

    def checkpoint_sha256(self, kind: Kind, name: str | None = None) -> str | None:
        """Content hash of a checkpoint's folder, read once; None for one on the Hub."""
        place = self.checkpoint_place(kind, name)
        folder = local_folder(place)
        if not (is_local(place) and folder.is_dir()):
            return None
        if place not in self._sha256:
            self._sha256[place] = folder_sha256(folder)
        return self._sha256[place]

    def scorer(self) -> LoadedQwen:
        """The frozen base language model that scores every checkpoint's answers."""
        loaded, switch = self._words_base()
        return replace(loaded, model=switch.view(None))

    def qwen(self, checkpoint: str | None = None) -> LoadedQwen:
        """The language model of a checkpoint; adapters share the base's weights in memory."""
        place = self.checkpoint_place("words", checkpoint)
        name = checkpoint or self.default_checkpoint("words")
        if name == self.preset.words.base_name:
            return self.scorer()
        loaded, switch = self._words_base()
        recipe = PartRecipe(
            name=f"words {name}",
            load=partial(switch.load, _peft_name(name), place),
            modules=lambda _: (),  # small, and part of the base they are laid over
            needs=("words base",),
            unload=lambda _: switch.unload(_peft_name(name)),
        )
        adapter_sha256 = self._store.get(recipe)
        return replace(
            loaded,
            model=switch.view(_peft_name(name)),
            name=f"{loaded.name} + {name}",
            sha256=_hash_of_both(loaded.sha256, adapter_sha256),
        )

    def painter(self, checkpoint: str | None = None) -> Any:
        """The `StableDiffusionPipeline` of a checkpoint; all share autoencoder and text encoder in memory."""
        from hallulab.models.diffusion import load_unet, with_unet

        place = self.checkpoint_place("pictures", checkpoint)
        name = checkpoint or self.default_checkpoint("pictures")
        base = self._pictures_base()
        if name == self.preset.pictures.base_name:
            return base
        dtype = self._dtype("pictures")
        recipe = PartRecipe(
            name=f"pictures {name}",
            load=lambda: with_unet(base, load_unet(place, dtype=dtype), f"the UNet {name} at {place}"),
            modules=lambda pipeline: (pipeline.unet,),
            expected_bytes=_expected_bytes(place, dtype),
            needs=("pictures base",),
        )
        return self._store.get(recipe)

    def clip(self) -> LoadedClip:
        """The image embedder."""
        pictures = self.preset.pictures
        recipe = PartRecipe(
            name="clip",
            load=partial(load_clip, pictures.clip_model, pictures.clip_pretrained),
            modules=lambda clip: (clip.model,),
            expected_bytes=_expected_bytes(pictures.clip_model, torch.float32),
        )
        return self._store.get(recipe)

    def attribute_probe(self) -> LoadedProbe | None:
        """What reads the parts of drawn faces; None in a world whose truth nobody knows."""
        place = self.preset.pictures.attribute_probe
        if not place:
            return None
        recipe = PartRecipe(
            name="attribute probe",
            load=partial(load_probe, place),
            modules=lambda probe: (probe.model,),
            expected_bytes=_expected_bytes(place, torch.float32),
        )
        return self._store.get(recipe)

    def _words_base(self) -> tuple[LoadedQwen, AdapterSwitch]:
        base, dtype = self.preset.words.base, self._dtype("words")

        def load() -> tuple[LoadedQwen, AdapterSwitch]:
            loaded = load_qwen(base, dtype=dtype, device="cpu")
            return loaded, AdapterSwitch(loaded.model)

        recipe = PartRecipe(
            name="words base",
            load=load,
            modules=lambda value: (value[0].model,),
            expected_bytes=_expected_bytes(base, dtype),
            may_spread=True,
        )
        return self._store.get(recipe)

    def _pictures_base(self) -> Any:
        from hallulab.models.diffusion import load_pipeline

        place, dtype = self.preset.pictures.pipeline, self._dtype("pictures")
        recipe = PartRecipe(
            name="pictures base",
            load=lambda: load_pipeline(place, dtype=dtype),
            modules=lambda pipeline: (pipeline.text_encoder, pipeline.unet, pipeline.vae),
            expected_bytes=_expected_bytes(place, dtype),
        )
        return self._store.get(recipe)

    def _dtype(self, kind: Kind) -> torch.dtype:
        half = self.preset.words if kind == "words" else self.preset.pictures
        return choose_dtype(half.dtype, self.device)


def _peft_name(checkpoint: str) -> str:
    """The checkpoint's name as peft accepts it: a name of a torch module holds no dot."""
    return checkpoint.replace(".", "_")


def _hash_of_both(base_sha256: str, adapter_sha256: str) -> str:
    """One content hash of a base and the adapter over it; empty when either is on the Hub."""
    both = f"{base_sha256} {adapter_sha256}"
    return hashlib.sha256(both.encode()).hexdigest() if base_sha256 and adapter_sha256 else ""


def _expected_bytes(place: str, dtype: torch.dtype) -> int:
    """What a local checkpoint will take once loaded; 0, unknown, for one on the Hub."""
    folder = local_folder(place)
    return weights_bytes(Path(folder), dtype) if is_local(place) and folder.is_dir() else 0
