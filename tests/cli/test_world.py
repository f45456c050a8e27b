"""The folder a command writes to: made, tried out, shared by the processes of a launch."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from hallulab.cli.world import output_folder
from hallulab.errors import RefusedInputError


def test_a_folder_is_made_and_left_empty(tmp_path):
    folder = output_folder(tmp_path / "runs" / "first")
    assert folder.is_dir()
    assert not list(folder.iterdir())


def test_many_may_try_the_same_folder_at_once(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(output_folder, [tmp_path] * 800)) == {tmp_path}


@pytest.mark.parametrize("place", ["a file", "a file/below"])
def test_a_place_that_cannot_be_written_is_refused(tmp_path, place):
    (tmp_path / "a file").write_text("")
    with pytest.raises(RefusedInputError, match="expected a folder that can be written"):
        output_folder(tmp_path / place)
