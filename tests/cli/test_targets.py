import pytest


@pytest.fixture
def in_the_small_world(run, monkeypatch):
    monkeypatch.delenv("HALLULAB_PRESET")
    return run


def test_a_small_run_says_what_the_prompt_changes_and_can_be_reported(in_the_small_world, tmp_path):
    run = in_the_small_world
    few = ("--limit", "5", "--checkpoint", "base", "--target", "0", "--target", "0.9", "--out", tmp_path)
    found = run("targets", *few, "--json").json
    assert [row["prompt"] for row in found["behaviour"]] == ["plain", "other sentence", "t = 0", "t = 0.9"]
    assert found["target_alone"][0]["n"] == 5
    assert {row["policy"] for row in found["grading"]} == {"as_given", "by_confidence"}
    assert [(point["stated_target"], point["model"]) for point in found["stated_audit"]] == [
        (0, "base"),
        (0.9, "base"),
    ]
    assert found["target_alone"][0]["spoke"]["p_holm"] >= found["target_alone"][0]["spoke"]["p_value"]
    shown = run("targets", *few).out
    assert "What the prompt changes" in shown
    assert "Told t, is at least the share t of what it answers right?" in shown
    run("report", tmp_path)
    assert "of 1 checkpoints answer less when the stated target rises from 0 to 0.9" in (
        tmp_path / "report.html"
    ).read_text(encoding="utf-8")


def test_what_cannot_be_asked_is_refused(run):
    assert "unknown question set" in run("targets", "--questions", "riddles").refusal
    assert "0 <= t < 1" in run("targets", "--target", "1").refusal
    assert "unknown checkpoint" in run("targets", "--checkpoint", "nobody").refusal
