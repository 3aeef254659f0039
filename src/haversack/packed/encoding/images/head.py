"""What the first bytes of an image say of its array, believed only so far as it is possible."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from haversack.errors import FormatError, UnsupportedError
from haversack.packed.encoding.kinds import LARGEST

# A few bytes may claim gigabytes of pixels. Deflate, as PNG has it, shrinks at most 1,032 times.
_ANYWAY: Final = 1 << 28
_SHRUNK: Final = 4096


@dataclass(frozen=True, slots=True)
class Head:
    """The dtype and shape of an image's array."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape, start=self.dtype.itemsize)

    def check_size(self, encoded: int) -> None:
        """Raise where an image of so many bytes cannot hold, or we not take, that array."""
        described = f"an image of {self.dtype} {list(self.shape)}, {self.nbytes:,} bytes"
        if self.nbytes == 0:
            raise FormatError(f"{described}: it has no pixels")
        if self.nbytes > LARGEST:
            raise UnsupportedError(f"{described}: records are under 4 GiB")
        if self.nbytes > max(_ANYWAY, _SHRUNK * encoded):
            raise FormatError(f"{described}, of a file of {encoded:,}: nothing shrinks so far")
