"""The probe of drawn parts: what it sees, what it reads, what is refused; the shipped one against known faces."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hallulab.data.fauna import BLEND_KINDS, PARTS, PETS, WILD, draw_face, pet_blend, random_face
from hallulab.errors import RefusedInputError
from hallulab.models.attribute_probe import (
    FACE,
    VALUES,
    AttributeProbe,
    LoadedProbe,
    ProbeSizes,
    load_probe,
    probe_pixels,
    read_attributes,
    save_probe,
    window_of,
)
from hallulab.scoring.attribute_truth import truth_of

SHIPPED = Path(__file__).parents[2] / "checkpoints" / "pet-parts-probe"
SIZES = ProbeSizes(widths=(8, 8), n_hidden=8)


@pytest.fixture(scope="module")
def shipped() -> LoadedProbe:
    return load_probe(SHIPPED)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_probe(AttributeProbe(SIZES), tmp_path / "probe")
    return tmp_path / "probe"


def drawn(kind: str, n: int) -> tuple[list, list[Image.Image]]:
    rng = np.random.default_rng([99, len(kind)])
    make = {
        "genuine": lambda index: random_face(PETS[index % 2], rng=rng),
        "blend": lambda index: pet_blend(BLEND_KINDS[index % len(BLEND_KINDS)], rng=rng),
        "wild": lambda index: random_face(WILD[index % len(WILD)], rng=rng),
    }
    faces = [make[kind](index) for index in range(n)]
    return faces, [draw_face(face) for face in faces]


@pytest.mark.parametrize("kind", ["genuine", "blend", "wild"])
def test_the_shipped_probe_reads_every_part_of_fresh_drawings(shipped, kind):
    """Blends too, which it never saw: so parts are read one by one, none is guessed from another."""
    faces, images = drawn(kind, 240)
    read = read_attributes(shipped, images)
    for part in PARTS:
        right = np.mean(
            [getattr(face, part) == one[part].value for face, one in zip(faces, read, strict=True)]
        )
        assert right >= 0.98, part


def test_the_shipped_probe_tells_the_truth_of_fresh_drawings(shipped):
    expected = {"genuine": "genuine", "blend": "blend", "wild": "other"}
    for kind, truth in expected.items():
        found = Counter(truth_of(one) for one in read_attributes(shipped, drawn(kind, 120)[1]))
        assert found[truth] >= 117, (kind, found)


def test_a_part_is_read_from_its_window_alone(folder):
    """Changing pixels outside a part's window never changes what is read there."""
    model = load_probe(folder).model
    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    pixels.requires_grad_(True)
    for part in PARTS:
        gradient = (
            torch.autograd.grad(model(pixels)[part].square().sum(), pixels)[0].abs().sum(dim=(0, 1)) > 0
        )
        rows, columns = gradient.nonzero(as_tuple=True)
        if part == "ears":
            assert not gradient[FACE[0] : FACE[2], FACE[1] : FACE[3]].any()
            assert gradient[:, 0].any()
            assert gradient[0].any()
        elif part == "eyes":
            assert (rows.min(), rows.max(), columns.min(), columns.max()) == (24, 39, 16, 47)
        else:
            assert (rows.min(), rows.max(), columns.min(), columns.max()) == (36, 59, 20, 43)


def test_the_windows_hold_what_each_part_draws():
    for part, shape in {"ears": (32, 32), "eyes": (16, 32), "muzzle": (24, 24)}.items():
        assert window_of(part, torch.zeros(2, 3, 64, 64)).shape == (2, 3, *shape)


def test_a_saved_probe_reads_the_same(folder):
    torch.manual_seed(0)
    model = AttributeProbe(SIZES).eval()
    images = drawn("genuine", 5)[1]
    ours = read_attributes(LoadedProbe(model, "in memory"), images, batch_size=2)
    loaded = read_attributes(load_probe(folder), images)
    for one, other in zip(ours, loaded, strict=True):
        assert one.keys() == set(PARTS)
        for part in PARTS:
            assert one[part].probability == pytest.approx(other[part].probability, abs=5e-3)
            assert other[part].value in VALUES


def test_any_size_and_mode_is_read(folder):
    images = [Image.new("L", (30, 80)), Image.new("RGBA", (512, 512))]
    assert probe_pixels(images).shape == (2, 3, 64, 64)
    assert len(read_attributes(load_probe(folder), images)) == 2
    assert read_attributes(load_probe(folder), []) == []


def test_a_missing_or_damaged_probe_is_refused(folder, tmp_path):
    with pytest.raises(RefusedInputError, match=r"expected an attribute probe in .*nowhere"):
        load_probe(tmp_path / "nowhere")
    (folder / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(RefusedInputError, match="train small-world probe"):
        load_probe(folder)


def test_a_probe_of_other_species_is_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    config["parts"]["ears"] = ["cat", "dog"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(RefusedInputError, match="with this version's species"):
        load_probe(folder)
