"""One run in one folder."""

import signal
import subprocess
import sys

import pytest

from hallulab.errors import RefusedInputError
from hallulab.experiments.run_folder import begin_or_continue, only_writer, record_files
from hallulab.records import RecordFile


def test_a_folder_has_one_writer_and_a_dead_one_lets_go(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from hallulab.experiments.run_folder import only_writer\n"
        "with only_writer(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)\n"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    with pytest.raises(RefusedInputError, match="no other run is writing to"), only_writer(tmp_path):
        pass
    other.send_signal(signal.SIGKILL)
    other.wait(30)
    other.stdout.close()
    for _ in range(2):
        with only_writer(tmp_path):
            pass


def test_a_header_is_written_once_and_what_differs_is_named(tmp_path):
    file = RecordFile(tmp_path / "run.jsonl")
    decides = {"settings": {"n": 3, "mass": 0.9, "prompts": ("a cat",)}, "frame": "abc"}
    first = begin_or_continue(file, decides, lambda: {"versions": {"python": "3"}})
    assert [record["kind"] for record in first] == ["settings"]
    file.append({"kind": "image"})
    assert len(begin_or_continue(file, decides)) == 2
    changed = {"settings": {"n": 4, "mass": 0.9, "prompts": ("a dog",)}, "frame": "abc"}
    with pytest.raises(
        RefusedInputError, match="with n 3, prompts a cat; got n 4, prompts a dog: repeat its command"
    ):
        begin_or_continue(file, changed)
    assert len(file.read()) == 2


def test_records_without_a_header_are_not_taken_for_a_new_run(tmp_path):
    file = RecordFile(tmp_path / "run.jsonl")
    file.append({"kind": "image"})
    with pytest.raises(RefusedInputError, match="one line of settings in .*, found 0 beside 1 records"):
        begin_or_continue(file, {"settings": {}})


def test_a_folder_is_no_record_file(tmp_path):
    (tmp_path / "a-1.jsonl").mkdir()
    (tmp_path / "a-2.jsonl").touch()
    assert record_files(tmp_path, "a-*.jsonl") == [tmp_path / "a-2.jsonl"]
