"""The loaded models under one memory budget: loaded once, least recently used ones give way."""

import threading
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from accelerate.hooks import UserCpuOffloadHook
from torch import nn

from hallulab.engine.device import free_host_bytes
from hallulab.engine.placement import module_bytes, park_with_hook, readable_bytes, spread
from hallulab.errors import HallulabError

T = TypeVar("T")


@dataclass(frozen=True)
class PartRecipe(Generic[T]):
    """How one part of a world is loaded and let go of."""

    name: str
    """What a person calls it, such as `words base`."""
    load: Callable[[], T]
    """Loads it into main memory."""
    modules: Callable[[T], Iterable[nn.Module]]
    """The networks it brings that no other part counts."""
    expected_bytes: int = 0
    """What it will take on the device, known before it is loaded; 0 when unknown."""
    needs: tuple[str, ...] = ()
    """Parts it computes with; when one of them is dropped, so is this one."""
    may_spread: bool = False
    """Whether its only network may lie partly on the device and partly in main memory."""
    unload: Callable[[T], None] = lambda _: None
    """Undoes what loading did to the parts it needs."""


@dataclass
class _Part:
    recipe: PartRecipe[Any]
    value: Any
    modules: tuple[nn.Module, ...]
    n_bytes: int
    hooks: tuple[UserCpuOffloadHook, ...] = ()
    on_device: bool = False
    used_by: Hashable = None


class PartStore:
    """Parts by name, least recently used first, filling at most `budget_bytes` of the device.

    On a GPU the least recently used part is parked in main memory by accelerate's hook and comes back when
    it is asked for, or called. On a CPU it is dropped, but never while the job that asked for it holds the
    device.
    """

    def __init__(
        self, device: torch.device, budget_bytes: int, holder: Callable[[], Hashable] = lambda: None
    ):
        self.device = device
        self.budget_bytes = budget_bytes
        self._holder = holder
        self._parts: dict[str, _Part] = {}
        self._lock = threading.RLock()

    def get(self, recipe: PartRecipe[T]) -> T:
        """The part, loaded if it is not, on the device.

        Raises HallulabError when it does not fit.
        """
        with self._lock:
            part = self._parts.pop(recipe.name, None) or self._load(recipe)
            self._parts[recipe.name] = part  # last is most recent
            part.used_by = self._holder()
            if not part.on_device:
                self._place(part)
            return part.value

    def resident(self) -> dict[str, int]:
        """Name → bytes of the parts on the device, least recently used first."""
        with self._lock:
            return {name: part.n_bytes for name, part in self._parts.items() if part.on_device}

    def parked(self) -> dict[str, int]:
        """Name → bytes of the parts that wait in main memory beside a GPU."""
        with self._lock:
            return {name: part.n_bytes for name, part in self._parts.items() if not part.on_device}

    def _load(self, recipe: PartRecipe[T]) -> _Part:
        if recipe.expected_bytes:
            self._make_room(recipe, recipe.expected_bytes)
        value = recipe.load()
        modules = tuple(recipe.modules(value))
        return _Part(recipe, value, modules, module_bytes(modules))

    def _place(self, part: _Part) -> None:
        """Put a part that is in main memory on the device, or spread it; forget it when it fits nowhere."""
        try:
            self._make_room(part.recipe, part.n_bytes)
            if part.n_bytes > self.budget_bytes:
                self._spread(part)
            else:
                self._move_to_device(part)
        except HallulabError:
            self._drop(part)
            raise
        part.on_device = True

    def _move_to_device(self, part: _Part) -> None:
        if self.device.type != "cpu" and not part.hooks:
            part.hooks = tuple(park_with_hook(module, self.device) for module in part.modules)
        for module in part.modules:
            module.to(self.device)

    def _spread(self, part: _Part) -> None:
        (module,) = part.modules
        gpu = self.device.index or 0
        spread(module, {gpu: self.budget_bytes, "cpu": free_host_bytes() + part.n_bytes})
        part.n_bytes = self.budget_bytes

    def _make_room(self, recipe: PartRecipe[Any], n_bytes: int) -> None:
        """Let the least recently used parts give way until `n_bytes` more fit."""
        if n_bytes > self.budget_bytes:
            if not (recipe.may_spread and self.device.type == "cuda"):
                raise self._does_not_fit(f"{recipe.name} needs {readable_bytes(n_bytes)}")
            n_bytes = self.budget_bytes
        while sum(self.resident().values()) + n_bytes > self.budget_bytes:
            self._give_way(recipe, n_bytes)

    def _give_way(self, recipe: PartRecipe[Any], n_bytes: int) -> None:
        """Park or drop the least recently used part that may go."""
        can_park = self.device.type != "cpu"
        job = self._holder()
        for part in self._parts.values():
            in_use = part.recipe.name in recipe.needs or (job is not None and part.used_by == job)
            if part.on_device and part.recipe.name != recipe.name and (can_park or not in_use):
                self._park(part) if can_park and part.hooks else self._drop(part)
                return
        beside = ", ".join(self.resident())
        raise self._does_not_fit(f"{recipe.name} needs {readable_bytes(n_bytes)} beside {beside}")

    def _does_not_fit(self, need: str) -> HallulabError:
        budget = f"{readable_bytes(self.budget_bytes)} of this {self.device.type}"
        return HallulabError(
            f"{need}, but models may fill only {budget}: choose a smaller preset or free some memory"
        )

    def _park(self, part: _Part) -> None:
        if free_host_bytes() < part.n_bytes:
            self._drop(part)
            return
        for hook in part.hooks:
            hook.offload()
        part.on_device = False

    def _drop(self, part: _Part) -> None:
        """Forget a part and the parts that compute with it."""
        for other in list(self._parts.values()):
            if part.recipe.name in other.recipe.needs:
                self._drop(other)
        if self._parts.pop(part.recipe.name, None) is not None:
            part.recipe.unload(part.value)
