import json

import numpy as np
import pytest

from hallulab.errors import RefusedInputError
from hallulab.records import RecordFile, as_plain, check_card, file_sha256, folder_sha256, write_card


def test_records_survive_a_torn_last_line(tmp_path):
    records = RecordFile(tmp_path / "run" / "records.jsonl")
    assert records.read() == []
    records.append({"seed": 0, "rate": 0.5})
    records.append({"seed": 1, "rate": np.float64("nan")})
    with records.path.open("ab") as file:
        file.write(b'{"seed": 2, "ra')  # what a kill leaves
    assert records.read() == [{"seed": 0, "rate": 0.5}, {"seed": 1, "rate": None}]
    records.append({"seed": 3})
    assert [record["seed"] for record in records.read()] == [0, 1, 3]


def test_many_records_are_the_same_lines_as_one_by_one(tmp_path):
    records = [{"n": n, "text": "é\n\u2028\x85\r"} for n in range(3)]
    together, apart = RecordFile(tmp_path / "a.jsonl"), RecordFile(tmp_path / "b.jsonl")
    together.path.write_text('{"torn": ')
    together.append_all(records)
    for record in records:
        apart.append(record)
    assert together.read() == apart.read() == records
    together.append_all([])
    assert together.read() == records


def test_plain_values():
    value = {"a": np.arange(2), "b": (1, float("inf")), "c": np.float32(0.5), 3: float("-inf")}
    assert as_plain(value) == {"a": [0, 1], "b": [1, None], "c": 0.5, "3": None}


@pytest.fixture
def checkpoint(tmp_path):
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    write_card(
        tmp_path, title="A model", base="nothing", data="coins", command="python -m hallulab train", seed=7,
        notes="Small.",
    )  # fmt: skip
    return tmp_path


def test_a_card_holds_what_repeats_the_checkpoint(checkpoint):
    card = json.loads((checkpoint / "card.json").read_text())
    assert card["seed"] == 7
    assert card["files"]["model.safetensors"] == file_sha256(checkpoint / "model.safetensors")
    assert "torch" in card["versions"]
    assert "unet/config.json" in (checkpoint / "README.md").read_text()
    assert check_card(checkpoint) == []


def test_a_changed_checkpoint_is_told_apart(checkpoint):
    before = folder_sha256(checkpoint)
    (checkpoint / "README.md").write_text("reworded")
    assert folder_sha256(checkpoint) == before
    (checkpoint / "model.safetensors").write_bytes(b"other")
    (checkpoint / "extra.json").write_text("{}")
    (checkpoint / "unet" / "config.json").unlink()
    assert folder_sha256(checkpoint) != before
    assert check_card(checkpoint) == [
        "unet/config.json is missing",
        "extra.json is not on the card",
        "model.safetensors does not match its SHA-256",
    ]


def test_no_card_and_no_folder(tmp_path):
    assert check_card(tmp_path) == [f"no card.json in {tmp_path}"]
    (tmp_path / "card.json").write_text("[]")
    assert check_card(tmp_path) == [f"{tmp_path / 'card.json'} is not a card"]
    with pytest.raises(RefusedInputError, match="expected a checkpoint folder, found none"):
        folder_sha256(tmp_path / "nowhere")
