"""Codecs of payloads: none, blosc (lz4, zstd; shuffles), zstd and gzip; and images as they are.

A codec is written as text, the same in code and in files: ``none``, ``blosc-lz4-bitshuffle-5``,
``blosc-zstd-shuffle-1``, ``zstd-3``, ``gzip-6``; the later parts may be left out when asking.
``jpeg``, ``png`` and ``tiff`` are payloads that came as such and are only ever decoded.
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
from haversack.packed.encoding import images
from haversack.packed.encoding.kinds import as_bytes

_SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}
_BLOSC_DEFAULTS = {"lz4": ("bitshuffle", 5), "zstd": ("shuffle", 1)}
_NAME = re.compile(
    r"none|blosc-(?P<inner>lz4|zstd)(?:-(?P<shuffle>noshuffle|shuffle|bitshuffle))?(?:-(?P<blosc>[1-9]))?"
    r"|zstd(?:-(?P<zstd>[1-9]|1[0-9]))?|gzip(?:-(?P<gzip>[1-9]))?"
)
_BLOSC_HEADER = struct.Struct("<BBBBIII")
_BLOSC_LARGEST = (1 << 31) - 1 - 16


def canonical(name: Any) -> str:
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
    match = _NAME.fullmatch(name) if isinstance(name, str) else None
    if isinstance(name, str) and name in images.NAMES:
        raise UsageError(
            f"codec {name!r} is that of files: append the bytes of one, and they are kept"
        )
    if match is None:
        raise UsageError(
            f"there is no codec {name!r}: use auto, none, blosc-lz4, blosc-zstd, zstd or gzip, "
            "or in full like blosc-zstd-bitshuffle-5, zstd-3, gzip-6"
        )
    if name.startswith("blosc"):
        shuffle, level = _BLOSC_DEFAULTS[match["inner"]]
        return f"blosc-{match['inner']}-{match['shuffle'] or shuffle}-{match['blosc'] or level}"
    if name.startswith("zstd"):
        return f"zstd-{match['zstd'] or 3}"
    return f"gzip-{match['gzip'] or 6}" if name.startswith("gzip") else name


class Decoder(Protocol):
    """Decode a payload into the C-ordered array that it will live in."""

    def decode_into(self, payload: NDArray[np.uint8], out: NDArray[Any]) -> None: ...


class Codec(Decoder, Protocol):
    """Encode the bytes of one record too."""

    def encode(self, data: NDArray[np.uint8], itemsize: int) -> Any: ...


@cache
def codec(name: str) -> Codec:
    """Get the codec of a name; a name that no codec has is a FormatError."""
    if name == "none" or _NAME.fullmatch(name) is None:
        raise FormatError(f"a codec that this haversack does not know: {name!r}")
    family, *details = canonical(name).split("-")
    if family == "blosc":
        return _Blosc(details[0], _SHUFFLES[details[1]], int(details[2]))
    return _Zstd(int(details[0])) if family == "zstd" else _Gzip(int(details[0]))


@cache
def decoder(name: str) -> Decoder:
    """Get what decodes the payloads of a codec; a name that no codec has is a FormatError."""
    return images.ImageCodec(name) if name in images.NAMES else codec(name)


class _Blosc:
    def __init__(self, inner: str, shuffle: int, level: int) -> None:
        self._inner, self._shuffle, self._level = inner.encode(), shuffle, level

    def encode(self, data: NDArray[np.uint8], itemsize: int) -> Any:
        from numcodecs import blosc

        if data.size > _BLOSC_LARGEST:
            raise UsageError(f"blosc takes records of up to 2 GiB, not {data.size} bytes: use zstd")
        typed = data.view(f"V{itemsize}") if itemsize <= blosc.MAX_TYPESIZE else data
        return blosc.compress(typed, self._inner, self._level, self._shuffle)

    def decode_into(self, payload: NDArray[np.uint8], out: NDArray[Any]) -> None:
        from numcodecs import blosc

        if payload.size < _BLOSC_HEADER.size:
            raise FormatError("a blosc payload without a header")
        *_, decoded, _block, encoded = _BLOSC_HEADER.unpack_from(payload.data)
        if decoded != out.nbytes or encoded != payload.size:
            raise FormatError(f"a blosc payload of {decoded} bytes, not {out.nbytes}")
        try:
            blosc.decompress(payload, as_bytes(out))
        except RuntimeError as error:
            raise FormatError(f"blosc cannot decode it: {error}") from error


class _Zstd:
    def __init__(self, level: int) -> None:
        from numcodecs import zstd

        self._level, self._zstd = level, zstd

    def encode(self, data: NDArray[np.uint8], itemsize: int) -> Any:  # noqa: ARG002
        return self._zstd.compress(data, self._level)

    def decode_into(self, payload: NDArray[np.uint8], out: NDArray[Any]) -> None:
        try:
            self._zstd.decompress(payload, as_bytes(out))
        except (RuntimeError, ValueError) as error:
            raise FormatError(f"zstd cannot decode it to {out.nbytes} bytes: {error}") from error


class _Gzip:
    def __init__(self, level: int) -> None:
        self._level = level

    def encode(self, data: NDArray[np.uint8], itemsize: int) -> bytes:  # noqa: ARG002
        return gzip.compress(data.data, self._level, mtime=0)

    def decode_into(self, payload: NDArray[np.uint8], out: NDArray[Any]) -> None:
        inflate = zlib.decompressobj(31)
        try:
            data = inflate.decompress(payload.data, out.nbytes + 1)
        except zlib.error as error:
            raise FormatError(f"gzip cannot decode it: {error}") from error
        if len(data) != out.nbytes or not inflate.eof:
            raise FormatError(f"a gzip payload that does not hold {out.nbytes} bytes")
        as_bytes(out)[:] = np.frombuffer(data, np.uint8)
