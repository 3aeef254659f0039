"""Read the arrays that bcolz keeps in a directory each, without bcolz.

``meta/storage`` and ``meta/sizes`` are JSON; ``data/__N.blp`` hold the rows in chunks of
``chunklen``, the last one shorter: 16 bytes of header, then a Blosc-1 chunk. There is no checksum,
so what can be checked are sizes: all are, before any memory is taken.
"""

from __future__ import annotations

import json
import math
import re
import struct
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError, UnsupportedError
from haversack.packed.encoding.codecs import codec
from haversack.packed.encoding.kinds import Kind, as_bytes, make_kind
from haversack.storage.publish import storage_error

_HEADER: Final = struct.Struct("<4sB3xq")  # magic, version, chunks
_BLOSC: Final = struct.Struct("<BBBBIII")  # versions, flags, type size, bytes, block, encoded bytes
_DTYPE: Final = re.compile(r"[<>|=]?[A-Za-z]+\d{0,9}(\[[0-9A-Za-z]{1,8}\])?")
_KINDS: Final = "biufcmMSU"
_LARGEST_JSON: Final = 1 << 20


def is_carray(root: Path) -> bool:
    """Tell whether a directory holds an array of bcolz, or the beginnings of one."""
    return (root / "meta" / "storage").is_file()


def read_carray(root: Path) -> NDArray[Any]:
    """Read an array.

    Raises
    ------
    FormatError
        It is damaged, cut short, or not wholly written.
    UnsupportedError
        Its values are pickled objects or structures.
    """
    storage, sizes = _json(root / "meta" / "storage"), _json(root / "meta" / "sizes")
    kind = _kind(root, storage, sizes)
    if kind.nbytes == 0:
        return np.empty(kind.shape, kind.dtype)
    chunklen = storage.get("chunklen")
    if type(chunklen) is not int or chunklen < 1:
        raise FormatError(f"{root / 'meta' / 'storage'} has a chunklen of {chunklen!r:.50}")
    row = kind.nbytes // kind.shape[0]
    lengths = _lengths(kind.nbytes, row * min(chunklen, kind.shape[0]))
    # All chunks are found to be there, and of their size, before the array takes its memory.
    chunks = [
        _chunk(root / "data" / f"__{number}.blp", next(lengths))
        for number in range(math.ceil(kind.shape[0] / chunklen))
    ]
    out = np.empty(kind.shape, kind.dtype)
    _decode(root, chunks, as_bytes(out))
    return out


def _json(path: Path) -> dict[str, Any]:
    found = _read(path, _LARGEST_JSON)
    try:
        value = json.loads(found)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path} is damaged: {error}") from error
    if not isinstance(value, dict):
        raise FormatError(f"{path} is damaged: it holds no JSON object")
    return value


def _read(path: Path, most: int) -> bytes:
    try:
        if not path.is_file():
            raise FormatError(f"{path} is missing: the array was not wholly written")
        if path.stat().st_size > most:
            raise FormatError(f"{path} is larger than any such file")
        return path.read_bytes()
    except OSError as error:
        raise storage_error("read", path, error) from error


def _kind(root: Path, storage: dict[str, Any], sizes: dict[str, Any]) -> Kind:
    shape = sizes.get("shape")
    if (
        not isinstance(shape, list)
        or not shape
        or not all(type(size) is int and size >= 0 for size in shape)
    ):
        raise FormatError(f"{root / 'meta' / 'sizes'} has the shape {shape!r:.100}")
    try:
        return make_kind(_dtype(root, storage.get("dtype")), shape)
    except FormatError as error:
        raise FormatError(f"{root}: {error}") from error


def _dtype(root: Path, text: Any) -> np.dtype[Any]:
    if not isinstance(text, str) or text.startswith("["):
        raise UnsupportedError(f"{root}: arrays of dtype {text!r:.100} cannot be read back")
    try:
        dtype = np.dtype(text if _DTYPE.fullmatch(text) else "")
    except TypeError as error:
        raise FormatError(f"{root / 'meta' / 'storage'} has the dtype {text!r:.100}") from error
    if dtype.hasobject:
        raise UnsupportedError(f"{root}: its values are pickled objects, which are not read")
    if dtype.kind not in _KINDS or dtype.itemsize == 0:
        raise UnsupportedError(f"{root}: arrays of dtype {text!r} cannot be read back")
    return dtype


def _lengths(nbytes: int, chunk: int) -> Any:
    """Give the bytes of each chunk in turn."""
    return (min(chunk, nbytes - start) for start in range(0, nbytes, chunk))


def _chunk(path: Path, length: int) -> NDArray[np.uint8]:
    """Read a chunk's Blosc buffer, which says of itself that it holds ``length`` bytes."""
    data = _read(path, length + length // 8 + 4096)  # what does not compress takes little more
    if len(data) < _HEADER.size + _BLOSC.size:
        raise FormatError(f"{path} is cut short")
    magic, version, count = _HEADER.unpack_from(data)
    *_, decoded, _block, encoded = _BLOSC.unpack_from(data, _HEADER.size)
    if magic != b"blpk" or version != 1 or count != 1:
        raise FormatError(f"{path} is no chunk of bcolz")
    if decoded != length or encoded != len(data) - _HEADER.size:
        raise FormatError(
            f"{path} has {len(data)} bytes for {decoded}, where it should hold {length}: "
            "it is damaged or cut short"
        )
    return np.frombuffer(data, np.uint8, offset=_HEADER.size)


def _decode(root: Path, chunks: list[NDArray[np.uint8]], out: NDArray[np.uint8]) -> None:
    blosc = codec("blosc-lz4-noshuffle-1")  # a Blosc chunk says itself how it was written
    start = 0
    for number, payload in enumerate(chunks):
        *_, decoded, _block, _encoded = _BLOSC.unpack_from(payload.data)
        try:
            blosc.decode_into(payload, out[start : start + decoded])
        except FormatError as error:
            raise FormatError(f"{root / 'data' / f'__{number}.blp'}: {error}") from error
        start += decoded
