"""Verdicts on images, one by one and as a mean."""

from pathlib import Path

import numpy as np
import pytest

from hallulab.engine.core import Engine
from hallulab.engine.presets import load_preset
from hallulab.errors import RefusedInputError
from hallulab.scoring.picture_verdicts import score_embeddings
from tests.hand_made_frames import fitted, two_clouds


@pytest.fixture(scope="module")
def engine(tiny_preset: Path) -> Engine:
    return Engine(load_preset(str(tiny_preset)), device="cpu")


def scores_of(embeddings: np.ndarray, engine: Engine, mass: float = 0.9):
    clip = engine.clip()
    return score_embeddings(fitted(clip.name), clip, embeddings, mass, seed=0)


def test_one_verdict_per_image_from_the_frame(engine):
    embeddings, _ = two_clouds(20, seed=2)
    scores = scores_of(embeddings, engine)
    expected = fitted().features.decide(embeddings)
    assert [verdict.is_hallucination for verdict in scores.verdicts] == [
        verdict.is_hallucination for verdict in expected
    ]
    assert scores.n_outside == sum(verdict.is_hallucination for verdict in expected)
    assert scores.hallucination_rate == scores.n_outside / 40
    assert scores.interval.low <= scores.hallucination_rate <= scores.interval.high


def test_the_mean_of_two_classes_is_outside_though_every_image_is_inside(engine):
    """The paper's theorem: the average of genuine samples of several states belongs to none."""
    embeddings, _ = two_clouds(200, seed=3)
    inside = ~np.array([v.is_hallucination for v in fitted().features.decide(embeddings)])
    scores = scores_of(embeddings[inside], engine)
    assert scores.hallucination_rate == 0
    assert scores.mean_verdict.is_hallucination
    assert scores.matched_verdict.is_hallucination


def test_the_matched_test_sees_what_the_papers_mean_test_cannot(engine):
    """Sixteen slightly shifted cats: their mean is inside the region of single cats, not of means of cats."""
    embeddings, _ = two_clouds(16, seed=4)
    shifted = embeddings[:16].copy()
    shifted[:, 2] += 0.16
    scores = scores_of(shifted, engine)
    assert not scores.mean_verdict.is_hallucination
    assert scores.matched_verdict.is_hallucination
    genuine = scores_of(embeddings[:16], engine)
    assert not genuine.matched_verdict.is_hallucination


def test_another_mass_decides_again_from_what_is_stored(engine):
    embeddings, _ = two_clouds(100, seed=5)
    scores = scores_of(embeddings, engine)
    narrow, wide = scores.with_mass(0.5), scores.with_mass(0.99)
    assert narrow.n_outside > scores.n_outside > wide.n_outside
    assert narrow.log_densities is scores.log_densities
    assert narrow.to_json()["hdr_mass"] == 0.5


def test_another_embedder_is_refused(engine):
    with pytest.raises(
        RefusedInputError, match="fitted on embeddings of another model, got those of clip-tiny"
    ):
        score_embeddings(fitted("another model"), engine.clip(), two_clouds(2, seed=0)[0], 0.9, seed=0)
