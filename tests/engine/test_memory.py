"""The memory budget: loaded once, the least recently used gives way, what cannot fit says so in words."""

import threading
import time
from collections.abc import Callable

import pytest
import torch
from torch import nn

from hallulab.engine.memory import PartRecipe, PartStore
from hallulab.errors import HallulabError

PART_BYTES = 4 * (25 * 9 + 25)  # one linear layer of 25 × 9


class FakeGpuLayer(nn.Linear):
    """Stays in main memory, but remembers where it was sent."""

    def __init__(self):
        super().__init__(9, 25)
        self.place = "cpu"

    def to(self, device):
        self.place = torch.device(device).type
        return self


def recipe(name: str, loads: list[str] | None = None, **changes) -> PartRecipe[nn.Linear]:
    def load() -> nn.Linear:
        if loads is not None:
            loads.append(name)
        return FakeGpuLayer()

    return PartRecipe(name, load, lambda layer: [layer], **changes)


def store_for(n_parts: float, device: str = "cpu", holder: Callable = lambda: None) -> PartStore:
    return PartStore(torch.device(device), int(n_parts * PART_BYTES), holder)


def test_a_part_is_loaded_once_even_when_many_threads_ask():
    loads: list[str] = []

    def slow_load() -> nn.Linear:
        time.sleep(0.05)
        return recipe("a", loads).load()

    store = store_for(2)
    slow = PartRecipe("a", slow_load, lambda layer: [layer])
    found: list[nn.Linear] = []
    threads = [threading.Thread(target=lambda: found.append(store.get(slow))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert loads == ["a"]
    assert len({id(layer) for layer in found}) == 1
    assert store.resident() == {"a": PART_BYTES}


def test_on_a_cpu_the_least_recently_used_part_is_dropped():
    loads: list[str] = []
    store = store_for(2)
    for name in ("a", "b", "a", "c"):
        store.get(recipe(name, loads))
    assert list(store.resident()) == ["a", "c"]
    store.get(recipe("b", loads))
    assert loads == ["a", "b", "c", "b"]


def test_a_part_that_alone_is_too_large_says_what_it_needs():
    store = store_for(0.5)
    with pytest.raises(HallulabError) as error:
        store.get(recipe("words base"))
    assert str(error.value) == (
        "words base needs 1.0 KB, but models may fill only 500.0 B of this cpu: "
        "choose a smaller preset or free some memory"
    )
    assert store.resident() == {}


def test_a_part_known_to_be_too_large_is_not_even_loaded():
    loads: list[str] = []
    with pytest.raises(HallulabError, match="pictures needs 15.2 GB"):
        store_for(1).get(recipe("pictures", loads, expected_bytes=15_200_000_000))
    assert loads == []


def test_what_one_job_uses_together_is_never_dropped_under_it():
    jobs = ["first"]
    store = store_for(1, holder=lambda: jobs[-1])
    store.get(recipe("a"))
    with pytest.raises(HallulabError, match=r"b needs 1.0 KB beside a, but models may fill only 1.0 KB"):
        store.get(recipe("b"))
    jobs.append("second")
    store.get(recipe("b"))
    assert list(store.resident()) == ["b"]


def test_dropping_a_part_drops_what_computes_with_it():
    unloaded: list[str] = []
    store = store_for(2)
    store.get(recipe("base"))
    store.get(recipe("adapter", needs=("base",), unload=lambda _: unloaded.append("adapter")))
    store.get(recipe("other"))
    assert list(store.resident()) == ["other"]
    assert unloaded == ["adapter"]


def test_a_part_does_not_push_out_what_it_needs():
    store = store_for(1)
    store.get(recipe("base"))
    with pytest.raises(HallulabError, match="adapter needs 1.0 KB beside base"):
        store.get(recipe("adapter", needs=("base",)))


def test_on_a_gpu_the_least_recently_used_part_is_parked_and_comes_back():
    loads: list[str] = []
    store = store_for(1, "cuda:0", holder=lambda: "one job")
    words = store.get(recipe("words", loads))
    assert words.place == "cuda"
    pictures = store.get(recipe("pictures", loads))
    assert (words.place, pictures.place) == ("cpu", "cuda")
    assert (store.resident(), store.parked()) == ({"pictures": PART_BYTES}, {"words": PART_BYTES})
    assert store.get(recipe("words", loads)) is words
    assert (words.place, pictures.place) == ("cuda", "cpu")
    assert loads == ["words", "pictures"]


def test_a_failed_load_leaves_nothing_behind_and_may_be_tried_again():
    tries: list[int] = []

    def load() -> nn.Linear:
        tries.append(1)
        if len(tries) == 1:
            raise HallulabError("the file is torn")
        return FakeGpuLayer()

    store = store_for(1)
    flaky = PartRecipe("a", load, lambda layer: [layer])
    with pytest.raises(HallulabError, match="torn"):
        store.get(flaky)
    assert store.resident() == {}
    store.get(flaky)
    assert list(store.resident()) == ["a"]
