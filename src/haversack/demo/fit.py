"""Something tiny to learn, in numpy alone: which crop grows where, from a season of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from haversack.demo.spectra import BANDS
from haversack.demo.weather import CLEAR
from haversack.packed import PackedDataset

_RED, _NIR = BANDS.index("red"), BANDS.index("nir")
_KEPT = [BANDS.index(name) for name in ("green", "red", "nir", "swir1")]
FEATURES = 1 + len(_KEPT)
"""Numbers per date: NDVI first, then bands."""
_MOST_PIXELS = 12_000
_STEPS, _RATE, _MOMENTUM, _DECAY = 250, 0.5, 0.9, 1e-4

Features = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Season:
    """One place through the year.

    Attributes
    ----------
    place
        Its name.
    features
        What a pixel is told apart by: (pixels, numbers), NaN under clouds.
    crops
        The label (y, x); 0 is no crop.
    """

    place: str
    features: Features
    crops: NDArray[np.uint8]


def read_season(packed: PackedDataset, place: str) -> Season:
    """Bring the images, cloud masks and label of a place together by date."""
    here = packed.filter(f"place = '{place}'")
    by_key: dict[tuple[str, str], NDArray[np.uint16]] = {}
    crops = np.zeros((0, 0), np.uint8)
    for record in here:
        asset, when = record.metadata["asset"], record.metadata["datetime"]
        if asset == "labels":
            crops = record.data
        else:
            by_key[asset, when] = record.data
    dates = sorted(when for asset, when in by_key if asset == "image")
    shots = [_features(by_key["image", when], by_key["cloud_mask", when]) for when in dates]
    return Season(place, np.concatenate(shots).reshape(-1, crops.size).T, crops)


def _features(image: NDArray[np.uint16], clouds: NDArray[np.uint16]) -> Features:
    """Give NDVI and a few bands of each pixel, (numbers, y, x), NaN where it is not clear."""
    seen = image.astype(np.float32) / 10_000
    ndvi = (seen[_NIR] - seen[_RED]) / (seen[_NIR] + seen[_RED])
    stack = np.concatenate([ndvi[None], seen[_KEPT]])
    return np.where(clouds == CLEAR, stack, np.float32(np.nan))


@dataclass(frozen=True, slots=True)
class Model:
    """Softmax regression on features that are centred and scaled; what is unknown counts 0."""

    mean: Features
    scale: Features
    weights: Features

    def scores(self, features: Features) -> Features:
        """Give each class of each pixel its score, (pixels, classes)."""
        return self._ready(features) @ self.weights

    def predict(self, season: Season) -> NDArray[np.uint8]:
        """Name the likeliest crop of each pixel, (y, x), from 1."""
        best = self.scores(season.features).argmax(1) + 1
        return np.asarray(best.reshape(season.crops.shape), np.uint8)

    def _ready(self, features: Features) -> Features:
        known = np.nan_to_num((features - self.mean) / self.scale, copy=False)
        return np.concatenate([known, np.ones((len(known), 1), np.float32)], 1)


def fit(seasons: Sequence[Season], classes: int, *, seed: int = 0) -> Model:
    """Fit by gradient descent with momentum on some of the pixels where a crop grows.

    Parameters
    ----------
    seasons
        The places to learn from.
    classes
        How many crops there are; labels go from 1 to this.
    seed
        Chooses the pixels.
    """
    features = np.concatenate([season.features[season.crops.ravel() > 0] for season in seasons])
    crops = np.concatenate([season.crops[season.crops > 0] for season in seasons])
    chosen = np.random.default_rng(seed).permutation(len(crops))[:_MOST_PIXELS]
    features, crops = features[chosen], crops[chosen]
    known = ~np.isnan(features).all(0)
    mean, scale = np.zeros(known.size, np.float32), np.ones(known.size, np.float32)
    mean[known] = np.nanmean(features[:, known], axis=0)
    scale[known] = np.nanstd(features[:, known], axis=0) + 1e-3
    start = Model(mean, scale, np.zeros((known.size + 1, classes), np.float32))
    ready = start._ready(features)  # noqa: SLF001
    truth = np.eye(classes, dtype=np.float32)[crops - 1]
    return Model(mean, scale, _descend(ready, truth, start.weights))


def _descend(ready: Features, truth: Features, weights: Features) -> Features:
    speed = np.zeros_like(weights)
    for _ in range(_STEPS):
        scores = ready @ weights
        shares = np.exp(scores - scores.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)
        slope = ready.T @ (shares - truth) / len(ready) + _DECAY * weights
        speed = _MOMENTUM * speed - _RATE * slope
        weights = weights + speed
    return weights


@dataclass(frozen=True, slots=True)
class Score:
    """How many pixels of held-out places are right, and by always naming the commonest crop."""

    accuracy: float
    majority: float
    pixels: int


def score(model: Model, training: Sequence[Season], held_out: Sequence[Season]) -> Score:
    """Try a model on places that it has not seen."""
    common = np.bincount(_crops(training)).argmax()
    truth = _crops(held_out)
    guess = np.concatenate([model.predict(season)[season.crops > 0] for season in held_out])
    return Score(float((guess == truth).mean()), float((truth == common).mean()), len(truth))


def _crops(seasons: Sequence[Season]) -> NDArray[np.uint8]:
    return np.concatenate([season.crops[season.crops > 0] for season in seasons])
