"""Codecs of payloads: none, blosc (lz4, zstd; shuffles), zstd and gzip.

A codec is written as text, the same in code and in files: ``none``, ``blosc-lz4-bitshuffle-5``,
``blosc-zstd-shuffle-1``, ``zstd-3``, ``gzip-6``; the later parts may be left out when asking.
All but gzip release the GIL while they work.
"""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError, UsageError

_SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}
_BLOSC_DEFAULTS = {"lz4": ("bitshuffle", 5), "zstd": ("shuffle", 1)}
_NAME = re.compile(
    r"none|blosc-(?P<inner>lz4|zstd)(?:-(?P<shuffle>noshuffle|shuffle|bitshuffle))?(?:-(?P<blosc>[1-9]))?"
    r"|zstd(?:-(?P<zstd>[1-9]|1[0-9]))?|gzip(?:-(?P<gzip>[1-9]))?"
)
_BLOSC_HEADER = struct.Struct("<BBBBIII")
_BLOSC_LARGEST = (1 << 31) - 1 - 16


def canonical(name: str) -> str:
    """Write a codec's name in full.

    Raises
    ------
    UsageError
        There is no such codec.

    Examples
    --------
    >>> canonical("blosc-lz4")
    'blosc-lz4-bitshuffle-5'
    >>> canonical("zstd")
    'zstd-3'
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise UsageError(
            f"there is no codec {name!r}: use none, blosc-lz4, blosc-zstd, zstd or gzip, "
            "or in full like blosc-zstd-bitshuffle-5, zstd-3, gzip-6"
        )
    if name.startswith("blosc"):
        shuffle, level = _BLOSC_DEFAULTS[match["inner"]]
        return f"blosc-{match['inner']}-{match['shuffle'] or shuffle}-{match['blosc'] or level}"
    if name.startswith("zstd"):
        return f"zstd-{match['zstd'] or 3}"
    return f"gzip-{match['gzip'] or 6}" if name.startswith("gzip") else name


class Codec(Protocol):
    """Encode the bytes of one record, and decode them into the memory that it will live in."""

    def encode(self, data: NDArray[np.uint8], itemsize: int) -> Any: ...

    def decode_into(self, payload: NDArray[np.uint8], out: NDArray[np.uint8]) -> None: ...


@cache
def codec(name: str) -> Codec:
    """Get the codec of a full name; a name that no codec has is a FormatError."""
    match = _NAME.fullmatch(name)
    if match is None or name == "none":
        raise FormatError(f"a codec that this haversack does not know: {name!r}")
    if match["inner"]:
        return _Blosc(match["inner"], _SHUFFLES[match["shuffle"]], int(match["blosc"]))
    return _Zstd(int(match["zstd"])) if match["zstd"] else _Gzip(int(match["gzip"] or 6))


class _Blosc:
    def __init__(self, inner: str, shuffle: int, level: int) -> None:
        self._inner, self._shuffle, self._level = inner.encode(), shuffle, level

    def encode(self, data: NDArray[np.uint8], itemsize: int) -> Any:
        from numcodecs import blosc

        if data.size > _BLOSC_LARGEST:
            raise UsageError(f"blosc takes records of up to 2 GiB, not {data.size} bytes: use zstd")
        typed = data.view(f"V{itemsize}") if itemsize <= blosc.MAX_TYPESIZE else data
        return blosc.compress(typed, self._inner, self._level, self._shuffle)

    def decode_into(self, payload: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
        from numcodecs import blosc

        if payload.size < _BLOSC_HEADER.size:
            raise FormatError("a blosc payload without a header")
        *_, decoded, _block, encoded = _BLOSC_HEADER.unpack_from(payload.data)
        if decoded != out.size or encoded != payload.size:
            raise FormatError(f"a blosc payload of {decoded} bytes, not {out.size}")
        try:
            blosc.decompress(payload, out)
        except RuntimeError as error:
            raise FormatError(f"blosc cannot decode it: {error}") from error


class _Zstd:
    def __init__(self, level: int) -> None:
        from numcodecs import zstd

        self._level, self._zstd = level, zstd

    def encode(self, data: NDArray[np.uint8], itemsize: int) -> Any:  # noqa: ARG002
        return self._zstd.compress(data, self._level)

    def decode_into(self, payload: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
        try:
            self._zstd.decompress(payload, out)
        except (RuntimeError, ValueError) as error:
            raise FormatError(f"zstd cannot decode it to {out.size} bytes: {error}") from error


class _Gzip:
    def __init__(self, level: int) -> None:
        self._level = level

    def encode(self, data: NDArray[np.uint8], itemsize: int) -> bytes:  # noqa: ARG002
        return gzip.compress(data.data, self._level, mtime=0)

    def decode_into(self, payload: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
        inflate = zlib.decompressobj(31)
        try:
            data = inflate.decompress(payload.data, out.size + 1)
        except zlib.error as error:
            raise FormatError(f"gzip cannot decode it: {error}") from error
        if len(data) != out.size or not inflate.eof:
            raise FormatError(f"a gzip payload that does not hold {out.size} bytes")
        out[:] = np.frombuffer(data, np.uint8)
