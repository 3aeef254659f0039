"""The tiny model learns what can be learned, and what it has not seen does not break it."""

import numpy as np
import pytest

from haversack.demo.fit import Season, fit, score


def season(name, rng, *, cloudy=0.0):
    """A place whose crop shows in one feature."""
    crops = rng.integers(0, 4, (20, 20)).astype(np.uint8)
    features = rng.normal(0, 0.3, (400, 5)).astype(np.float32)
    features[:, 2] += crops.ravel()
    features[rng.random(features.shape) < cloudy] = np.nan
    return Season(name, features, crops)


def test_it_learns_and_beats_the_commonest_class():
    rng = np.random.default_rng(0)
    training = [season(str(n), rng) for n in range(4)]
    result = score(fit(training, 3), training, [season("new", rng)])
    assert result.accuracy > 0.85 > 0.5 > result.majority


def test_clouds_are_no_reason_to_fail():
    rng = np.random.default_rng(1)
    training = [season(str(n), rng, cloudy=0.3) for n in range(4)]
    training[0].features[:, 4] = np.nan
    result = score(fit(training, 3), training, [season("new", rng, cloudy=0.3)])
    assert result.accuracy > 0.6


def test_a_feature_that_was_never_seen_counts_nothing():
    rng = np.random.default_rng(2)
    training = [season(str(n), rng) for n in range(2)]
    for one in training:
        one.features[:, 0] = np.nan
    model = fit(training, 3)
    assert np.isfinite(model.weights).all()
    assert model.predict(season("new", rng)).shape == (20, 20)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_seed_gives_the_same_model(seed):
    training = [season("a", np.random.default_rng(3))]
    one, two = (fit(training, 3, seed=seed) for _ in range(2))
    np.testing.assert_array_equal(one.weights, two.weights)
