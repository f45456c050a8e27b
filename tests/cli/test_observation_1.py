import pytest


def test_abstaining_is_optimal_under_no_belief_at_0_and_under_the_right_ones_above(run):
    found = run("observation-1", "--json").json
    assert [one["n_answers"] for one in found["sets"]] == [2, 3, 4]
    for one in found["sets"]:
        assert one["n_optimal"][0] == 0
        assert one["n_optimal"] == one["n_unlikely"]
        assert one["share_drawn"][0] == 0
    two = found["sets"][0]
    place = two["targets"].index(0.75)
    assert two["share_drawn"][place] == pytest.approx(0.25, abs=0.02)  # (2t − 1)²
    shown = run("observation-1", "--answers", "2", "--target", "0", "--target", "0.9").out
    assert "2 answers and “I do not know”: 3 binary graders, 861 beliefs over them" in shown


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--answers", "1"), "at least two answers"),
        (("--answers", "12"), "among at most 12 responses"),
        (("--answers", "4", "--steps", "40"), "coarser steps"),
        (("--target", "1"), "0 <= t < 1"),
    ],
)
def test_what_cannot_be_enumerated_is_refused(run, options, words):
    assert words in run("observation-1", *options).refusal
