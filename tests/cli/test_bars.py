"""`bars`: every bar is printed, and a missed one is exit code 1."""

import pytest

from hallulab.experiments.quality_bar import QualityBar


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands in for the measurements and notes which were asked for."""
    asked = []

    def stand_in(part: str, *bars: QualityBar):
        return lambda _: (asked.append(part), bars)[1]

    missed = QualityBar("right", 0.5, 10, (0.2, 0.8), at_least=0.95)
    coverage = QualityBar("coverage", 0.9, 200, (0.85, 0.94), at_least=0.87, at_most=0.93)
    reported = QualityBar("rate", float("nan"), 0)
    rooms = "hallulab.experiments.words_bars", "hallulab.experiments.pictures_bars"
    monkeypatch.setattr(f"{rooms[0]}.words_bars", stand_in("words", missed))
    monkeypatch.setattr(f"{rooms[1]}.clip_bars", stand_in("clip", coverage))
    monkeypatch.setattr(f"{rooms[1]}.pictures_bars", stand_in("pictures", reported))
    return asked


def test_a_missed_bar_is_a_failure(run, measured):
    found = run("bars", "--json")
    assert (found.exit_code, measured) == (1, ["words", "clip", "pictures"])
    assert found.json["passed"] is False
    assert [bar["passed"] for bar in found.json["bars"]] == [False, True, None]
    assert found.json["bars"][2]["value"] is None  # a missing measurement is null


def test_one_part_can_be_measured_alone(run, measured):
    found = run("bars", "clip")
    assert (found.exit_code, measured) == (0, ["clip"])
    lines = found.out.splitlines()
    assert lines[0] == "1 of 1 quality bars are passed."
    assert " ".join(lines[2].split()) == "coverage 0.900 200 0.850 … 0.940 ≥ 0.87 and ≤ 0.93 yes"
