def test_a_small_run_prints_its_table_and_its_report_says_what_happened(run, tmp_path):
    small = (
        "--prompts", "120", "--answers", "6", "--samples", "900", "--slots", "60", "--steps", "60", "--rounds", "2",
        "--target", "0.5", "--target", "0.9",
    )  # fmt: skip
    found = run("post-train", *small, "--out", tmp_path, "--json").json
    assert found["settings"]["world"]["n_prompts"] == 120
    binary = next(row for row in found["table"] if (row["policy"], row["target"]) == ("binary", 0.0))
    base = next(row for row in found["table"] if (row["policy"], row["target"]) == ("base", 0.0))
    assert binary["idk"]["mean"] < base["idk"]["mean"]
    assert binary["idk"]["n"] == 2
    more = run("post-train", *small, "--rounds", "3", "--out", tmp_path, "--json").json
    assert more["n_worlds"] == 3
    shown = run("post-train", *small, "--out", tmp_path)
    assert "stated targets (untrained t)" in shown.out
    assert "Calibration before and after" in shown.out
    assert {row["policy"] for row in found["calibration"]} == {
        "base", "binary", "target 0.5", "target 0.9", "stated targets",
    }  # fmt: skip
    run("report", tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Binary grading takes “I do not know” from" in page
    assert "One policy, told the target, at every t" in page
    assert "Can its confidence be believed, before and after training?" in page
    assert "Mean over 3 worlds" in page  # all that is on record, though it was last asked for two


def test_a_learner_that_does_not_exist_is_refused(run):
    assert "base learner among crowded, memoriser" in run("post-train", "--learner", "oracle").refusal
    assert "confidence target" in run("post-train", "--target", "1").refusal
    repeated = run("post-train", "--target", "0.5", "--target", "0.5")
    assert "every one of the targets once" in repeated.refusal
    assert "--epochs beside --learner qwen" in run("post-train", "--epochs", "3").refusal
