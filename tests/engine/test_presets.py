"""Presets: the shipped files read, one's own files are found, wrong ones are refused in words."""

import json
from pathlib import Path

import pytest

from hallulab.engine.presets import (
    REPOSITORY_ROOT,
    load_preset,
    natural_order,
    preset_names,
)
from hallulab.errors import RefusedInputError

WORDS = {"base": "Qwen/some-model", "adapters": {}}
PICTURES = {"pipeline": "./sd", "unets": {"late": "./late"}, "clip_model": "ViT-B-32"}


def write_preset(folder: Path, **changes: object) -> str:
    path = folder / "mine.json"
    path.write_text(json.dumps({"title": "Mine", "words": WORDS, "pictures": PICTURES} | changes))
    return str(path)


def test_every_shipped_preset_reads_and_the_default_comes_first():
    assert preset_names()[0] == "small-world"
    for name in preset_names():
        assert load_preset(name).name == name
    assert load_preset() == load_preset("small-world")


def test_small_world_is_local_and_the_papers_models_come_from_the_hub():
    small, paper = load_preset("small-world"), load_preset("paper")
    assert small.words.base == str(REPOSITORY_ROOT / "checkpoints/qwen-mini")
    assert small.pictures.clip_model == f"local-dir:{REPOSITORY_ROOT}/checkpoints/clip-mini"
    assert paper.words.base == "Qwen/Qwen2.5-7B-Instruct"
    assert (paper.words.max_new_tokens, paper.words.temperature, paper.words.top_p) == (80, 0.7, 0.9)
    assert (paper.pictures.steps, paper.pictures.guidance, paper.pictures.size) == (30, 7.5, 512)


def test_folders_of_ones_own_file_start_from_that_file(tmp_path: Path):
    preset = load_preset(write_preset(tmp_path))
    assert preset.name == "mine"
    assert preset.pictures.pipeline == str(tmp_path / "sd")
    assert preset.checkpoints("pictures") == {"base": str(tmp_path / "sd"), "late": str(tmp_path / "late")}
    assert preset.default_checkpoint("pictures") == "late"
    assert preset.checkpoints("words") == {"base": "Qwen/some-model"}
    assert preset.default_checkpoint("words") == "base"


def test_a_folder_of_checkpoints_is_listed_in_natural_order(tmp_path: Path):
    for name in ("step-900", "step-1100", "step-50"):
        (tmp_path / "unets" / name).mkdir(parents=True)
        (tmp_path / "unets" / name / "model.safetensors").touch()
    (tmp_path / "unets" / "no-weights").mkdir()
    preset = load_preset(write_preset(tmp_path, pictures=PICTURES | {"unets": "./unets"}))
    assert list(preset.pictures.unets) == ["step-50", "step-900", "step-1100"]


def test_natural_order_compares_numbers_as_numbers():
    names = ["b", "a10", "a9", "2", "10", "a9b"]
    assert sorted(names, key=natural_order) == ["2", "10", "a9", "a9b", "a10", "b"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"words": WORDS | {"temprature": 1}}, "unknown field 'temprature'; the fields are base, adapters"),
        ({"words": {"base": "x"}}, "the field 'adapters' is missing"),
        ({"words": WORDS | {"temperature": 0}}, "temperature must be a number above 0, got 0"),
        ({"words": WORDS | {"top_p": 1.5}}, "top_p must be a number above 0 and at most 1, got 1.5"),
        ({"words": WORDS | {"max_new_tokens": True}}, "max_new_tokens must be a whole number of at least 1"),
        ({"words": WORDS | {"dtype": "int4"}}, "dtype must be one of auto, float32, bfloat16, float16"),
        ({"words": WORDS | {"default_checkpoint": "none"}}, "'none', but the checkpoints are base"),
        ({"words": WORDS | {"adapters": "hub/id"}}, "or one folder beginning with ./"),
        (
            {"pictures": PICTURES | {"steps": 0}},
            "steps must be a whole number of at least 1, got 0",
        ),
        ({"pictures": []}, "pictures must be a table of fields"),
        ({"titel": "x"}, "unknown field 'titel'"),
    ],
)
def test_a_wrong_file_is_refused_and_told_what_was_expected(tmp_path: Path, changes: dict, words: str):
    with pytest.raises(RefusedInputError) as refusal:
        load_preset(write_preset(tmp_path, **changes))
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(RefusedInputError, match="unknown preset 'big': use one of small-world, paper"):
        load_preset("big")


def test_a_missing_or_broken_file_is_refused(tmp_path: Path):
    with pytest.raises(RefusedInputError, match="cannot read the preset file"):
        load_preset(str(tmp_path / "absent.json"))
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(RefusedInputError, match="is not JSON"):
        load_preset(str(tmp_path / "broken.json"))
