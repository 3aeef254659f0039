"""TIFF and BigTIFF: the pages that are alike, their samples in the order in which they lie."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError, UnsupportedError
from haversack.packed.encoding.images.head import Head

MAGICS: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MOST_ENTRIES = 1 << 20  # of all pages together, and values of theirs
_LARGEST_TILE = 1 << 28
# Tags of a page that say what its array is.
_KIND, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_ORIENTATION, _SAMPLES, _PLANAR, _FORMAT = 274, 277, 284, 339
_TILE_WIDTH, _TILE_HEIGHT, _DEPTH, _TILE_DEPTH = 322, 323, 32997, 32998
_DEFAULTS = {
    _KIND: 0,
    _BITS: 1,
    _COMPRESSION: 1,
    _PHOTOMETRIC: 1,
    _ORIENTATION: 1,
    _SAMPLES: 1,
    _PLANAR: 1,
    _FORMAT: 1,
    _DEPTH: 1,
    _TILE_DEPTH: 1,
}
_WANTED = {*_DEFAULTS, _WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT}
_INTEGERS = {1: "B", 3: "H", 4: "I", 16: "Q"}  # by the type of a tag's value
_DTYPES = {1: ("u", (8, 16, 32, 64)), 2: ("i", (8, 16, 32, 64)), 3: ("f", (16, 32, 64))}
_DTYPES |= {6: ("c", (64, 128))}
_REDUCED, _MASK = 1, 4  # bits of _KIND: overviews and masks are no pages of their own
_JPEG, _OLD_JPEG = 7, 6
_GRAY, _RGB, _CMYK, _YCBCR, _LOG_L, _LOG_LUV = 1, 2, 5, 6, 32844, 32845
_PLANES = 2

Tags = dict[int, int]


@dataclass(frozen=True, slots=True)
class TiffHead(Head):
    """``pages`` by their number in the file; ``jpeg`` where their samples are coded as JPEG."""

    pages: list[int]
    jpeg: bool


def head(data: memoryview) -> TiffHead:
    """Read what a TIFF holds.

    Raises
    ------
    FormatError
        It is damaged.
    UnsupportedError
        Its pages differ, or its samples would not come out as they are stored.
    """
    pages = [(number, tags) for number, tags in enumerate(_pages(data)) if _counts(tags)]
    if not pages:
        raise FormatError("a TIFF without pages")
    described = [_page(tags) for _, tags in pages]
    first = described[0]
    if any(other != first for other in described):
        raise UnsupportedError(
            "a TIFF of pages that differ in size or type: pack each page by itself"
        )
    dtype, shape, jpeg = first
    stack = shape if len(pages) == 1 else (len(pages), *shape)
    return TiffHead(dtype, stack, [number for number, _ in pages], jpeg)


def page_axes(data: memoryview) -> str:
    """Name the axes of the first page, as a letter each."""
    tags = next(filter(_counts, _pages(data)))
    if tags[_SAMPLES] == 1:
        return "yx"
    return "cyx" if _has_planes(tags) else "yxc"


def check(data: memoryview) -> None:
    """Do nothing: the decoder reads all that there is to check."""


def decode(data: memoryview, head: TiffHead, out: NDArray[Any], library: Any) -> None:
    """Decode into an array of the head's dtype and shape."""
    pages = head.pages if len(head.pages) > 1 else head.pages[0]
    if head.jpeg:
        # It comes with an alpha that the file does not have.
        found = library.tiff_decode(data, index=pages)
        if found.shape != out.shape:
            raise FormatError(f"a TIFF that decodes to {list(found.shape)}")
        out[...] = found
    else:
        # The library leaves gaps, without an error, where deflated data is damaged.
        out.fill(0)
        library.tiff_decode(data, index=pages, out=out)


def _counts(tags: Tags) -> bool:
    return not tags[_KIND] & (_REDUCED | _MASK)


def _page(tags: Tags) -> tuple[np.dtype[Any], tuple[int, ...], bool]:
    """Say what the array of a page is, and whether it is coded as JPEG."""
    letter, sizes = _DTYPES.get(tags[_FORMAT], ("", ()))
    if tags[_BITS] not in sizes:
        raise UnsupportedError(
            f"a TIFF of samples of {tags[_BITS]} bits, format {tags[_FORMAT]}: taken are integers "
            "of 8 to 64 bits, floats of 16 to 64 and complex numbers"
        )
    if tags[_DEPTH] != 1 or tags[_TILE_DEPTH] != 1:
        raise UnsupportedError("a TIFF of voxels")
    dtype = np.dtype(f"<{letter}{tags[_BITS] // 8}")
    samples, plane = tags[_SAMPLES], (tags[_HEIGHT], tags[_WIDTH])
    tile = tags.get(_TILE_WIDTH, 0) * tags.get(_TILE_HEIGHT, 0) * samples * dtype.itemsize
    if tile > _LARGEST_TILE:
        raise UnsupportedError(f"a TIFF of tiles of {tile:,} bytes")
    jpeg = _is_jpeg(tags, dtype)
    if samples == 1:
        return dtype, plane, jpeg
    return dtype, (samples, *plane) if _has_planes(tags) else (*plane, samples), jpeg


def _has_planes(tags: Tags) -> bool:
    return tags[_PLANAR] == _PLANES and tags[_COMPRESSION] != _JPEG


def _is_jpeg(tags: Tags, dtype: np.dtype[Any]) -> bool:
    colours, samples, jpeg = tags[_PHOTOMETRIC], tags[_SAMPLES], tags[_COMPRESSION] == _JPEG
    plain = (colours, samples) in ((_GRAY, 1), (_RGB, 3), (_YCBCR, 3))
    if jpeg and not (plain and dtype == np.uint8 and tags[_ORIENTATION] == 1):
        raise UnsupportedError("a TIFF coded as JPEG that is neither plain gray nor plain RGB")
    if colours in (_CMYK, _LOG_L, _LOG_LUV) or (colours == _YCBCR and not jpeg):
        raise UnsupportedError(
            f"a TIFF of colours (photometric {colours}) that cannot stay as stored"
        )
    if tags[_COMPRESSION] == _OLD_JPEG:
        raise UnsupportedError("a TIFF coded as JPEG in the way that was given up")
    return jpeg


def _pages(data: memoryview) -> Iterator[Tags]:
    """Read the tags of each page."""
    try:
        file = _File(data)
        while file.next_page:
            yield file.read_page()
    except (struct.error, OverflowError) as error:
        raise FormatError("a TIFF that is cut short") from error


class _File:
    def __init__(self, data: memoryview) -> None:
        self._data, self._left = data, _MOST_ENTRIES
        self._order = "<" if bytes(data[:1]) == b"I" else ">"
        self._big = b"+" in bytes(data[2:4])
        count, entry, self._word = ("Q", "HHQ8s", "Q") if self._big else ("H", "HHI4s", "I")
        self._count, self._entry = (struct.Struct(self._order + x) for x in (count, entry))
        self.next_page = self._offset(data, 8 if self._big else 4)

    def _offset(self, data: memoryview | bytes, at: int) -> int:
        offset: int = struct.unpack_from(self._order + self._word, data, at)[0]
        return offset

    def _spend(self, number: int) -> None:
        # A loop of pages ends here too.
        self._left -= number
        if self._left < 0:
            raise FormatError("a TIFF whose pages have no end")

    def read_page(self) -> Tags:
        at = self.next_page
        (number,) = self._count.unpack_from(self._data, at)
        self._spend(1 + number)
        start = at + self._count.size
        end = start + number * self._entry.size
        self.next_page = self._offset(self._data, end)
        tags = dict(_DEFAULTS)
        for tag, kind, count, value in self._entry.iter_unpack(self._data[start:end]):
            if tag in _WANTED and kind in _INTEGERS:
                tags[tag] = self._value(_INTEGERS[kind], count, value)
        if not tags.keys() >= {_WIDTH, _HEIGHT}:
            raise FormatError("a TIFF page without a size")
        return tags

    def _value(self, letter: str, count: int, value: bytes) -> int:
        """Read a tag's value; where there is one for each sample, they must be the same."""
        if count == 0:
            raise FormatError("a TIFF tag without a value")
        self._spend(count)
        size = count * struct.calcsize(self._order + letter)
        inside = size <= len(value)
        place, offset = (value, 0) if inside else (self._data, self._offset(value, 0))
        found = set(struct.unpack_from(f"{self._order}{count}{letter}", place, offset))
        if len(found) > 1:
            raise UnsupportedError("a TIFF whose samples differ in type")
        return int(found.pop())
