import pytest

from hallulab.errors import RefusedInputError
from hallulab.experiments.coin_settings import CoinSettings, settings_of
from hallulab.scoring.coin_rule import CoinRule


def settings(**changed):
    return CoinSettings(**changed)


def test_paper_numbers():
    paper = settings(coins_per_draw=5).as_in_paper()
    assert (paper.batch_size, paper.learning_rate, paper.epochs, paper.rounds) == (64, 1e-4, 20, 5)
    assert paper.coins_per_draw == 5


def test_a_variant_trains_as_its_code_does_unless_something_else_is_chosen():
    public = settings_of("paper_code", {"epochs": 3})
    assert (public.batch_size, public.learning_rate, public.epochs) == (64, 1e-4, 3)
    assert settings_of("fixed", {}) == settings()
    chosen = settings_of("paper_code", {"batch_size": 8})
    assert (chosen.batch_size, chosen.learning_rate) == (8, 1e-4)


def test_another_line_is_the_same_training():
    judged = settings().judged_by(CoinRule(0.8, None))
    assert (judged.delta, judged.hdr_mass) == (None, 0.8)
    assert judged.judged_by(settings().rule) == settings()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"coins_per_draw": 0}, "expected coins per draw as a whole number from 1 to 64, got 0"),
        ({"coins_per_draw": 65}, "expected coins per draw as a whole number from 1 to 64, got 65"),
        ({"flips": 9}, "expected flips as a whole number from 10"),
        ({"epochs": 0}, "expected epochs as a whole number from 1"),
        ({"epochs": 1.5}, "expected epochs as a whole number"),
        ({"batch_size": 0}, "expected batch size as a whole number"),
        ({"rounds": 0}, "expected rounds as a whole number"),
        ({"seed": -1}, "expected seed as a whole number from 0"),
        ({"points_per_epoch": 0}, "expected points per epoch as a whole number from 1"),
        ({"learning_rate": 0}, "expected a learning rate above 0"),
        ({"learning_rate": float("nan")}, "expected a learning rate above 0"),
        ({"held_out_share": 1}, "expected a held-out share between 0 and 1"),
        ({"variant": "public"}, "expected variant fixed or paper_code, got 'public'"),
        (
            {"objective": "huber"},
            "expected objective squared_error or absolute_error or cross_entropy or modal, got 'huber'",
        ),
        ({"learning_rate": True}, "expected a learning rate above 0"),
        ({"held_out_share": "half"}, "expected a held-out share between 0 and 1"),
        ({"delta": 2.0}, "expected δ in"),
        ({"delta": "x"}, "expected δ as a number, got 'x'"),
        ({"hdr_mass": 0.0}, "expected an HDR mass"),
    ],
)
def test_settings_refuse_what_cannot_be_run(changed, words):
    with pytest.raises(RefusedInputError, match=words):
        settings(**changed)
