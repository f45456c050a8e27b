from tests.conftest import draw_images

SMALL = (
    "--pca-dimension", "2", "--components", "2", "--seed", "0", "--held-out-share", "0.5", "--blends", "6",
)  # fmt: skip


def test_the_contract_of_frame_table(run, tmp_path):
    arguments = (
        "frame-table",
        "--out",
        tmp_path / "run",
        "--fitted",
        "40",
        "--fresh",
        "20",
        *SMALL,
        "--json",
    )
    report = run(*arguments).json
    assert (report["n_done"], report["n_total"], report["source"]) == (1, 1, "drawn pet faces")
    assert [row["rule"] for row in report["table"]] == ["percentile", "conformal"]
    for row in report["table"]:
        assert row["coverage"].keys() == row["n_fresh"].keys() == {"cat", "dog"}
        assert 0 <= row["auroc"] <= 1
    assert run(*arguments).json["table"] == report["table"]  # from the records
    assert [row["test"] for row in report["table"][0]["means"]] == ["paper", "k_matched", "own_law"]
    assert report["table"][0]["means"][0]["false_alarms"].keys() == {"cat", "dog"}


def test_a_folder_of_images(run, tmp_path):
    images = draw_images(tmp_path / "images", n=60)
    found = run("frame-table", images, "--out", tmp_path / "run", *SMALL)
    assert found.exit_code == 0
    assert "blends are pixel averages of two images of different states" in found.out
    assert "blends outside" in found.out
    assert "Means of 64 images called hallucinations" in found.out
    assert "law of means" in found.out


def test_too_few_images_are_refused(run, tmp_path):
    images = draw_images(tmp_path / "images", n=12)
    refusal = run("frame-table", images, "--out", tmp_path / "run", *SMALL).refusal
    assert "needs at least 20 images per state" in refusal
