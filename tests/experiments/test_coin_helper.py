import subprocess
import sys
from contextlib import closing
from dataclasses import asdict
from io import BytesIO

import pytest
import torch

from hallulab.errors import HallulabError
from hallulab.experiments import coin_helper
from hallulab.experiments.coin_events import CoinMoment
from hallulab.experiments.coin_helper import CoinHelper
from hallulab.experiments.coin_messages import send_message
from hallulab.experiments.coin_round import CoinRound, train_epoch
from hallulab.experiments.coin_settings import CoinSettings
from hallulab.models.products import products_put_back

ENDLESS = """
from hallulab.experiments.coin_helper import CoinHelper
from hallulab.experiments.coin_round import CoinRound
from hallulab.experiments.coin_settings import CoinSettings
settings = CoinSettings(flips=1_000_000, batch_size=64)
helper = CoinHelper(settings)
helper.wait()
for _ in helper.train_epoch([CoinRound(settings, 0, "cpu")]):
    print("trains", flush=True)
"""


def settings(**changed):
    return CoinSettings(**({"flips": 640, "epochs": 3, "batch_size": 64, "learning_rate": 1e-3} | changed))


@pytest.fixture
def one_torch_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.mark.parametrize("variant", ["fixed", "paper_code"])
@pytest.mark.usefixtures("one_torch_thread")
def test_a_helper_computes_bit_for_bit_what_is_computed_here(variant):
    """Here and there in turn against here alone: dropout, order of flips and Adam go on where they were."""
    chosen = settings(coins_per_draw=3, variant=variant)
    here, mixed = ([CoinRound(chosen, seed, "cpu") for seed in (4, 5)] for _ in range(2))
    expected, found = [], []
    with closing(CoinHelper(chosen)) as helper:
        helper.wait()
        for way in (helper.train_epoch, lambda stack: train_epoch(stack, chosen), helper.train_epoch):
            with products_put_back():
                expected += train_epoch(here, chosen)
                found += way(mixed)
    assert [e for e in found if e is not None] == [e for e in expected if e is not None]
    assert any(isinstance(event, CoinMoment) for event in found)
    for ours, theirs in zip(here, mixed, strict=True):
        assert torch.equal(ours.weights, theirs.weights)
        assert (ours.flips == theirs.flips).all()
        assert theirs.n_epochs == 3


def test_what_goes_wrong_there_is_raised_here_and_it_goes_on():
    chosen = settings(epochs=1)
    broken, whole = CoinRound(chosen, 0, "cpu"), CoinRound(chosen, 1, "cpu")
    broken.weights = broken.weights[:-1]
    with closing(CoinHelper(chosen)) as helper:
        helper.wait()
        with pytest.raises(HallulabError, match="could not train coin rounds: RuntimeError: .*split"):
            list(helper.train_epoch([broken]))
        assert list(helper.train_epoch([whole]))


def test_a_helper_that_was_killed_is_reported_in_words():
    chosen = settings()
    helper = CoinHelper(chosen)
    helper.close()
    assert not helper.is_alive
    with pytest.raises(HallulabError, match=r"expected a helper process .*exit status -9.*choose fewer"):
        helper.wait()


def test_a_helper_ends_with_whoever_started_it():
    """Standard error is shared with the helper, so its end is the end of both."""
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        for _ in range(3):
            assert owner.stdout.readline() == "trains\n"
        owner.kill()
        _, complaints = owner.communicate(timeout=30)
    assert complaints == ""


def test_large_rounds_are_made_again_rather_than_kept(monkeypatch):
    """`serve` in this process, with a list of requests for a pipe: of two large rounds one is in memory at a time."""
    chosen = settings(epochs=2)
    made, rounds = [], [CoinRound(chosen, seed, "cpu") for seed in (0, 1)]
    make = coin_helper.CoinRound
    monkeypatch.setattr(coin_helper, "CoinRound", lambda *args: made.append(args[1]) or make(*args))

    def trained(max_kept):
        made.clear()
        monkeypatch.setattr(coin_helper, "MAX_KEPT_BYTES", max_kept)
        requests, answers = BytesIO(), BytesIO()
        send_message(requests, "settings", asdict(chosen))
        for seed in (0, 1, 0):
            send_message(requests, "train", {}, [rounds[seed].state()])
        requests.seek(0)
        with pytest.raises(EOFError):
            coin_helper.serve(requests, answers)
        return list(made)

    assert trained(1 << 30) == [0, 1]
    assert trained(0) == [0, 1, 0]
