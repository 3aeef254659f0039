"""The array that is measured: a recording (t, z, y, x) like those of a microscope, from a seed.

Smooth anatomy, slow activity in a few round cells, and shot noise, so that it compresses as real
recordings do.
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

_DTYPE = np.dtype("<u2")
_DARK, _GAIN = 100, 2.0  # of the camera: counts without light, and counts for one photon
_CELLS = 400  # that are active, in each plane


@dataclass(frozen=True, slots=True)
class Recording:
    """Shape of the array, rows of a block of ours and the old package's, and of a peer's shard.

    ``chunk`` is the shape of what peers compress at once.
    """

    name: str
    shape: tuple[int, ...]
    block: int
    shard: int
    chunk: tuple[int, ...] = (8, 1, 128, 128)

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * _DTYPE.itemsize

    @property
    def title(self) -> str:
        lengths = " x ".join(f"{length:,}" for length in self.shape)
        return f"{self.name}: {lengths} uint16, {self.nbytes / 1e6:,.0f} MB"


FULL = Recording("1 GB", (200, 16, 256, 640), block=20, shard=40)
SMALLER = Recording("84 MB", (80, 8, 256, 256), block=8, shard=40)


def of_blocks(count: int) -> Recording:
    """Describe next to no data in very many files."""
    return Recording(f"{count:,} blocks", (count, 1, 16, 16), 1, 1, (1, 1, 16, 16))


class Source:
    """The array, mapped from where :func:`make` wrote it."""

    def __init__(self, home: Path) -> None:
        spec = json.loads((home / "spec.json").read_text())
        self.home = home
        self.recording = Recording(**{**spec, **{k: tuple(spec[k]) for k in ("shape", "chunk")}})
        mapped = np.memmap(home / "data.bin", _DTYPE, mode="r", shape=self.recording.shape)
        self.data = mapped.view(np.ndarray)


def make(recording: Recording, home: Path) -> None:
    """Write the array under ``home``."""
    home.mkdir(parents=True)
    rng = np.random.default_rng(0)
    anatomy, activity = _anatomy(recording.shape[1:], rng), _activity(recording.shape[1:], rng)
    phase = np.cumsum(rng.normal(0, 0.1, recording.shape[0]))
    with (home / "data.bin").open("wb") as file:
        for time in range(recording.shape[0]):
            photons = anatomy * (1 + (0.5 + 0.5 * np.float32(np.sin(phase[time]))) * activity)
            noise = rng.standard_normal(photons.shape, np.float32)
            seen = _DARK + _GAIN * np.rint(photons + np.sqrt(photons) * noise).clip(0)
            file.write(seen.clip(0, 65535).astype(_DTYPE))
    (home / "spec.json").write_text(json.dumps(asdict(recording)))


def _anatomy(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Sum broad waves: photons of a pixel at rest, from 20 to about 200."""
    axes = np.meshgrid(*(np.linspace(0, 1, n, dtype=np.float32) for n in shape), indexing="ij")
    waves = np.zeros(shape, np.float32)
    for _ in range(8):
        turns = rng.normal(0, (1, 3, 6))
        angle = sum(turn * axis for turn, axis in zip(turns, axes, strict=True))
        waves += np.cos(np.float32(2 * np.pi) * angle + np.float32(rng.uniform(0, 2 * np.pi)))
    return np.float32(20) + np.float32(40) * (waves - waves.min()) / 4


def _activity(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Put round cells of a few pixels where light comes and goes."""
    cells = np.zeros(shape, np.float32)
    rows, columns = np.ogrid[-4:5, -4:5]
    disk = (rows**2 + columns**2 <= 16).astype(np.float32)
    if min(shape[1:]) < 16:
        return cells
    for plane in cells:
        for y, x in rng.integers(0, np.subtract(shape[1:], 9), (_CELLS, 2)).tolist():
            cell = plane[y : y + 9, x : x + 9]
            cell[...] = np.maximum(cell, disk)
    return cells
