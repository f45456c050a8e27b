"""The engine on a tiny world: loaded once and lazily, bases shared, budgets kept, refusals in words."""

import shutil
import threading
from pathlib import Path

import pytest
import torch

from hallulab.engine import core
from hallulab.engine.core import Engine
from hallulab.engine.presets import load_preset
from hallulab.errors import HallulabError, RefusedInputError
from hallulab.models import diffusion
from tests.tiny_world import write_world

IDS = torch.tensor([[5, 6, 7]])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(tmp_path_factory.mktemp("world"))


def tiny_engine(world: Path, **changes) -> Engine:
    return Engine(load_preset(str(world)), device="cpu", **changes)


def test_nothing_is_loaded_before_it_is_asked_for(world: Path):
    engine = tiny_engine(world)
    assert engine.resident_bytes() == {}
    engine.scorer()
    assert list(engine.resident_bytes()) == ["words base"]


def test_checkpoints_are_listed_base_first_in_natural_order(world: Path):
    engine = tiny_engine(world)
    assert engine.checkpoint_names("words") == ("base", "epoch-2", "epoch-10")
    assert engine.checkpoint_names("pictures") == ("base", "step-2", "step-10")
    assert (engine.default_checkpoint("words"), engine.default_checkpoint("pictures")) == (
        "epoch-10",
        "step-10",
    )


@pytest.mark.parametrize("kind", ["words", "pictures"])
def test_an_unknown_checkpoint_lists_the_known_ones(world: Path, kind):
    engine = tiny_engine(world)
    get = engine.qwen if kind == "words" else engine.painter
    known = ", ".join(engine.checkpoint_names(kind))
    with pytest.raises(RefusedInputError) as refusal:
        get("step-3")
    assert str(refusal.value) == f"unknown checkpoint 'step-3' for {kind}: use one of {known}"


@torch.no_grad()
def test_adapters_share_the_base_that_is_loaded_once(world: Path, monkeypatch: pytest.MonkeyPatch):
    loads = []
    monkeypatch.setattr(core, "load_qwen", lambda *a, **k: (loads.append(a), load_qwen(*a, **k))[1])
    engine = tiny_engine(world)
    scorer, early, late = engine.scorer(), engine.qwen("epoch-2"), engine.qwen()
    assert len(loads) == 1
    logits = [qwen.model(IDS).logits for qwen in (scorer, early, late, engine.qwen("base"))]
    assert not torch.allclose(logits[0], logits[1])
    assert not torch.allclose(logits[1], logits[2])
    assert torch.equal(logits[0], logits[3])
    assert (scorer.name, late.name) == ("qwen-tiny", "qwen-tiny + epoch-10")
    assert len({scorer.sha256, early.sha256, late.sha256}) == 3


load_qwen = core.load_qwen


def test_painters_share_all_but_the_unet_and_the_schedulers_state(world: Path):
    engine = tiny_engine(world)
    base, early, late = engine.painter("base"), engine.painter("step-2"), engine.painter()
    assert engine.painter("step-2") is early
    for pipeline in (early, late):
        assert pipeline.vae is base.vae
        assert pipeline.text_encoder is base.text_encoder
        assert pipeline.scheduler is not base.scheduler
    assert len({id(pipeline.unet) for pipeline in (base, early, late)}) == 3


def test_weights_are_float32_on_a_cpu_and_the_budget_counts_them(world: Path):
    engine = tiny_engine(world)
    assert next(engine.scorer().model.parameters()).dtype == torch.float32
    assert engine.painter("base").unet.dtype == torch.float32
    n_weights = sum(p.numel() for p in engine.painter("base").unet.parameters())
    engine.painter("step-2")
    assert engine.resident_bytes()["pictures step-2"] == 4 * n_weights


def test_words_give_way_to_pictures_under_a_small_budget(world: Path):
    sizes = tiny_engine(world)
    sizes.painter("base")
    sizes.clip()
    sizes.scorer()
    needed = sizes.resident_bytes()
    engine = tiny_engine(world, memory_budget_bytes=needed["pictures base"] + needed["clip"])
    engine.qwen("epoch-2")
    with engine.job("paint"):
        engine.painter("base")
        engine.clip()
        assert list(engine.resident_bytes()) == ["pictures base", "clip"]
    with engine.job("ask"), torch.no_grad():
        engine.qwen("epoch-2").model(IDS)
        assert "words base" in engine.resident_bytes()


def test_a_model_that_alone_is_too_large_says_so_before_it_is_loaded(world: Path):
    engine = tiny_engine(world, memory_budget_bytes=1000)
    with pytest.raises(HallulabError, match="^words base needs .*, but models may fill only 1.0 KB"):
        engine.scorer()
    with pytest.raises(HallulabError, match="^clip needs"):
        engine.clip()


@pytest.mark.parametrize(
    ("file", "get"),
    [
        ("qwen-tiny/model.safetensors", lambda engine: engine.scorer()),
        ("adapters/epoch-2/adapter_model.safetensors", lambda engine: engine.qwen("epoch-2")),
        ("sd-tiny/vae/diffusion_pytorch_model.safetensors", lambda engine: engine.painter("base")),
        ("unets/step-2/diffusion_pytorch_model.safetensors", lambda engine: engine.painter("step-2")),
        ("clip-tiny/open_clip_model.safetensors", lambda engine: engine.clip()),
    ],
)
@pytest.mark.parametrize("damage", ["truncated", "garbage"])
def test_a_damaged_file_is_refused_by_name_and_the_engine_stays_up(
    world: Path, tmp_path: Path, file: str, get, damage: str
):
    copy = Path(shutil.copytree(world.parent, tmp_path / "world"))
    whole = (copy / file).read_bytes()
    (copy / file).write_bytes(whole[: len(whole) // 2] if damage == "truncated" else b"\x00" * 64)
    engine = tiny_engine(copy / "tiny.json")
    with pytest.raises(RefusedInputError) as refusal, engine.job("any"):
        get(engine)
    assert "\n" not in str(refusal.value)
    assert Path(file).parts[0] in str(refusal.value)
    assert engine.queue.holder is None
    (copy / file).write_bytes(whole)
    get(engine)


def test_many_threads_asking_for_everything_load_everything_once(world: Path, monkeypatch):
    loads: list[str] = []
    loaders = (
        (core, "load_qwen"),
        (diffusion, "load_pipeline"),
        (diffusion, "load_unet"),
        (core, "load_clip"),
    )
    for module, name in loaders:
        whole = getattr(module, name)

        def counted(*args, whole=whole, name=name, **kwargs):
            loads.append(name)
            return whole(*args, **kwargs)

        monkeypatch.setattr(module, name, counted)
    engine = tiny_engine(world)

    def visit() -> None:
        with engine.job("visit"):
            engine.qwen("epoch-2")
            engine.painter("step-2")
            engine.clip()

    threads = [threading.Thread(target=visit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(loads) == ["load_clip", "load_pipeline", "load_qwen", "load_unet"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_small_gpu_words_and_pictures_swap(world: Path):
    sizes = Engine(load_preset(str(world)))
    sizes.painter("base")
    sizes.scorer()
    budget = max(sizes.resident_bytes().values())
    engine = Engine(load_preset(str(world)), memory_budget_bytes=budget)
    qwen, painter = engine.scorer(), engine.painter("base")
    assert qwen.model.device.type == "cpu"
    assert painter.unet.device.type == "cuda"
    assert engine.scorer().model.device.type == "cuda"
    assert painter.unet.device.type == "cpu"
    assert next(engine.scorer().model.parameters()).dtype in (torch.bfloat16, torch.float16)
