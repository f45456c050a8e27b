from benchmarks import frames


def test_a_small_run_prints_both_tables(monkeypatch, capsys):
    monkeypatch.setattr(
        "sys.argv", ["frames.py", "--repeats", "1", "--embeddings", "600", "--resplits", "20"]
    )
    frames.main()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    scored = [row for row in rows if row[0].startswith("600 margins")]
    assert len(scored) == 2
    for row in scored:
        assert float(row[4].split()[0]) < 1e-4  # nats between ours and scikit-learn's
    covered = {(row[0], row[1]): float(row[2]) for row in rows if row[0].endswith("per state")}
    assert len(covered) == 6
    assert covered["50 per state", "percentile"] < covered["50 per state", "conformal"]
