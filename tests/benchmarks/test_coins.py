import pytest
import torch

from benchmarks import coins

TINY = ["--coins-per-draw", "3", "--flips", "100", "--epochs", "1", "--rounds", "2"]


@pytest.fixture(autouse=True)
def torchs_own_wait_policy(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["coins.py", *arguments])
    coins.main()


def test_a_small_run_prints_both_tables(monkeypatch, capsys):
    run(monkeypatch, *TINY)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    cells = {
        (row[0], row[1]): row[2:] for row in ([c.strip() for c in line.split("|")[1:-1]] for line in lines)
    }
    for variant in ("fixed", "paper_code"):
        for what in ("… training", "… evaluation", "hallulab"):
            assert float(cells[variant, what][1].split()[0]) > 0  # milliseconds of each
        assert cells[variant, "… the plain loop takes"][0].endswith("×")
        for what, *_ in coins.LEARNED:
            theirs, ours, difference = (float(cell.split()[0]) for cell in cells[variant, what])
            assert ours - theirs == pytest.approx(difference, abs=2e-4)
    assert torch.get_num_threads() == 1


def test_a_wait_policy_that_slows_the_plain_loop_is_refused(monkeypatch, capsys):
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, *TINY)
    assert "expected torch's own wait policy" in capsys.readouterr().err


def test_a_comparison_counts_steps_rows_and_operations():
    settings = coins.CLAIM
    epochs = [coins.PlainEpoch(seed, epoch, 0.0, None, 1.0, 1.0) for seed in range(5) for epoch in range(20)]
    claim = coins.Comparison(
        settings, coins.Taken(300, 450), tuple(epochs), coins.Taken(20, 40), (), {"a route": 1e12}
    )
    # 16,000 of the 20,000 flips train, in batches of 64
    assert (claim.n_held_out, claim.n_steps, claim.ratio) == (4_000, 250 * 20 * 5, 15)
    # 252 (1 − (251/252)^64) = 56.6 draws of 5 tokens through 8 layers: 3·2·(8·(4·64² + 2·64·256 + 2·5·64) + …)
    assert claim.operations / claim.n_steps == pytest.approx(56.6 * 6 * (5 * 8 * 49_792 + 64), rel=1e-3)
    rows = {what: (whole, each) for _, what, whole, each in claim.speed_rows()}
    assert rows["… training"] == ("100.0 s", "4.00 ms a step")
    assert rows["… evaluation"] == ("100.0 s", "0.250 ms a row")
    assert rows["… the plain loop takes"][0] == "15.0 ×"
    assert rows["plain loop"] == ("300.0 s", "1.50 cores busy")
    assert rows["hallulab"] == ("20.0 s", "0.80 ms a step, evaluation included; 2.00 cores busy")
    # 25,000 steps of 677 million operations at 10¹² a second are 16.9 of the 20 seconds
    assert rows["matrix products alone, a route"] == (
        "16.9 s", "677 MFLOP a step at 1000 GFLOP/s; 85% of hallulab's time",
    )  # fmt: skip
