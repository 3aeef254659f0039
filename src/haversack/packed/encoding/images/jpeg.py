"""JPEG: gray, RGB or CMYK samples, of 8 bits as a rule; neither turned nor scaled."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError
from haversack.packed.encoding.images.head import Head

MAGIC: Final = b"\xff\xd8\xff"
_FRAME = struct.Struct(">BHHB")  # precision, height, width, components
_LENGTH = struct.Struct(">H")
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_END, _SCAN = 0xD9, 0xDA
# In coded pixels a zero follows each 0xff, and restart marks stand between.
_MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")


def head(data: memoryview) -> Head:
    """Read the frame of a JPEG."""
    for marker, at in _markers(data):
        if marker in _FRAMES and at + 2 + _FRAME.size <= len(data):
            bits, height, width, samples = _FRAME.unpack_from(data, at + 2)
            shape = (height, width) if samples == 1 else (height, width, samples)
            return Head(np.dtype("u1" if bits <= 8 else "<u2"), shape)
        if marker in (_SCAN, _END):
            break
    raise FormatError("a JPEG without a frame")


def check(data: memoryview) -> None:
    """Find the end of the image: the decoder would make up what is cut off."""
    for _ in _markers(data):
        pass


def decode(data: memoryview, head: Head, out: NDArray[Any], library: Any) -> None:  # noqa: ARG001
    """Decode into an array of the head's dtype and shape."""
    library.jpeg8_decode(data, out=out)


def _markers(data: memoryview) -> Iterator[tuple[int, int]]:
    """List markers, and where what follows each begins, up to the end of the image."""
    at, marker = 2, 0
    while marker != _END:
        found = _MARKER.search(data, at)
        if found is None:
            raise FormatError("a JPEG that is cut short")
        marker, at = found[1][0], found.end()
        yield marker, at
        if at + _LENGTH.size <= len(data):
            # Which is in vain behind the last one.
            at += _LENGTH.unpack_from(data, at)[0]
