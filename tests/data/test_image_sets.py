"""Labelled images by name: folders and data sets of the Hub read alike, unusable images are named and counted."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hallulab.data.image_sets import open_image_set
from hallulab.errors import RefusedInputError


def write(path: Path, colour: tuple[int, int, int] = (0, 0, 0), mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), colour).convert(mode).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(3):
        write(tmp_path / "set" / "cat" / f"{number}.png", (number, 0, 0))
        write(tmp_path / "set" / "dog" / f"{number}.png", (0, number, 0))
    return tmp_path / "set"


def test_a_folder_is_a_set(folder):
    found = open_image_set(folder)
    assert found.names == ("cat/0.png", "cat/1.png", "cat/2.png", "dog/0.png", "dog/1.png", "dog/2.png")
    assert found.n_per_state == {"cat": 3, "dog": 3}
    assert np.asarray(found.open(4)).tolist() == np.full((6, 8, 3), (0, 1, 0)).tolist()
    assert found.skipped == ()


def test_states_can_be_chosen(folder):
    write(folder / "wild" / "0.png")
    assert open_image_set(folder, states=("dog", "wild")).n_per_state == {"dog": 3, "wild": 1}
    with pytest.raises(RefusedInputError, match="unknown state 'fox' of .*: use some of cat, dog, wild"):
        open_image_set(folder, states=("cat", "fox"))
    with pytest.raises(
        RefusedInputError, match="expected at least two states in .* such as cat and dog; got cat"
    ):
        open_image_set(folder, states=("cat",))


def test_the_hash_follows_the_content(folder):
    before = open_image_set(folder).sha256
    assert open_image_set(folder).sha256 == before
    write(folder / "cat" / "1.png", (9, 9, 9))
    assert open_image_set(folder).sha256 != before


def test_unusable_images_are_named_counted_and_skipped_only_when_asked(folder):
    for number in range(3, 8):
        write(folder / "dog" / f"{number}.png", mode="L")
    for number in range(3, 9):
        write(folder / "cat" / f"{number}.png")
    whole = (folder / "cat" / "3.png").read_bytes()
    (folder / "cat" / "3.png").write_bytes(whole[: len(whole) // 2])
    (folder / "cat" / "4.png").write_text("plain text")
    with pytest.raises(RefusedInputError) as refusal:
        open_image_set(folder)
    words = str(refusal.value)
    assert words.startswith(f"7 of 17 images of {folder} cannot be used: cat/3.png (")
    assert "cat/4.png (not an image of a known format), dog/3.png (L, most are RGB)" in words
    assert "dog/5.png (L, most are RGB) and 2 more; expected whole images of one colour mode" in words
    found = open_image_set(folder, skip_unusable=True)
    assert found.n_per_state == {"cat": 7, "dog": 3}
    assert len(found.skipped) == 7
    assert [found.open(index).getpixel((0, 0)) for index in range(7, 10)] == [(0, 0, 0), (0, 1, 0), (0, 2, 0)]


def test_a_state_is_never_skipped_whole(folder):
    for number in range(3):
        write(folder / "dog" / f"{number}.png", mode="L")
    write(folder / "cat" / "3.png")
    with pytest.raises(RefusedInputError, match="got none of dog: 3 of 7 images are broken or not RGB"):
        open_image_set(folder, skip_unusable=True)


def png(colour: tuple[int, int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, str]]:
    """A data set in the Hub's own format, read from a file by the real reader; the calls for it."""
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog", "wild"])}
    )
    rows = {
        "image": [{"bytes": png((number, 0, 0)), "path": None} for number in range(6)],
        "label": [0, 1, 2, 0, 1, 2],
    }
    file = tmp_path / "train.parquet"
    datasets.Dataset.from_dict(rows, features=features).to_parquet(str(file))
    load, calls = datasets.load_dataset, []

    def from_file(name: str, *, split: str):
        calls.append((name, split))
        if name == "no/such":
            raise ConnectionError("Couldn't reach the Hub\nmore")
        return load("parquet", data_files=str(file), split=split, cache_dir=str(tmp_path / "cache"))

    monkeypatch.setattr(datasets, "load_dataset", from_file)
    return calls


def test_a_data_set_of_the_hub_reads_like_a_folder(hub):
    found = open_image_set("huggan/AFHQ", states=("cat", "dog"))
    assert hub == [("huggan/AFHQ", "train")]
    assert found.n_per_state == {"cat": 2, "dog": 2}
    assert found.names == ("row 0", "row 1", "row 3", "row 4")
    assert [found.open(index).getpixel((0, 0)) for index in range(4)] == [(n, 0, 0) for n in (0, 1, 3, 4)]


@pytest.mark.usefixtures("hub")
def test_a_data_set_that_cannot_be_fetched_is_refused():
    with pytest.raises(
        RefusedInputError, match=r"no/such of the Hub \(Couldn't reach the Hub\): check its name"
    ):
        open_image_set("no/such")


def test_a_data_set_without_images_is_refused(hub, monkeypatch):
    import datasets

    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["a"])}
    )
    rows = datasets.Dataset.from_dict({"text": ["x"], "label": [0]}, features=features)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: rows)
    with pytest.raises(
        RefusedInputError, match="expected a column of type Image .* got text: Value, label: Class"
    ):
        open_image_set("some/texts")
    assert hub == []


def test_a_name_that_is_neither_folder_nor_data_set_is_refused():
    with pytest.raises(
        RefusedInputError, match=r"a folder of images or the name of a data set .* got './none'"
    ):
        open_image_set("./none")


def test_the_package_is_named_when_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(RefusedInputError, match="needs the package datasets: pip install datasets"):
        open_image_set("huggan/AFHQ")
