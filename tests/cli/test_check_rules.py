def test_both_parts_are_measured_and_misses_named(run):
    found = run("check-rules", "--json").json
    assert [part["part"] for part in found["parts"]] == ["held_out", "tuned"]
    for part in found["parts"]:
        assert (
            part["verdicts_right"]["low"] < part["verdicts_right"]["value"] < part["verdicts_right"]["high"]
        )
        assert sum(sum(row.values()) for row in part["confusion"].values()) == part["n"]
    shown = run("check-rules", "--part", "tuned", "--misses")
    assert shown.exit_code == 0
    assert "held out:" not in shown.out
    assert "Of what the rules call correct or wrong, the person says the same: " in shown.out
    assert shown.out.count("(no_reference_said)") == sum(
        miss["rule"] == "no_reference_said" for miss in found["parts"][1]["misses"]
    )


def test_another_part_is_refused(run):
    assert "held_out" in run("check-rules", "--part", "train").refusal
