"""What kind of array a payload holds: its dtype, shape and codec; and how dtypes are written."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError, UnsupportedError

LARGEST: Final = (1 << 32) - 1  # bytes of one payload, and of one record
_TAKEN = "?biufcmMSUV"
_NAME = re.compile(r"[<>|][biufcmMSUV]\d{1,10}(\[(\d{1,9})?[A-Za-z]{1,2}\])?")


@dataclass(frozen=True, slots=True)
class Kind:
    """The dtype, shape and codec that records share; ``nbytes`` are those of the array itself."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    codec: str
    nbytes: int


def make_kind(dtype: Any, shape: Any, codec: str = "none") -> Kind:
    """Build a kind from what a file says of it.

    Raises
    ------
    FormatError
        No array can have that dtype and shape.
    """
    real = dtype if isinstance(dtype, np.dtype) else read_dtype(dtype)
    sizes = tuple(shape)
    nbytes = math.prod(sizes, start=real.itemsize)
    try:
        # numpy has limits of its own (dimensions, products): let it say so before anything is read.
        np.ndarray((0, *sizes), real)
    except (ValueError, OverflowError) as error:
        raise FormatError(f"no array has the shape {sizes}: {error}") from error
    if nbytes > LARGEST:
        raise FormatError(f"an array of {nbytes} bytes: records are under 4 GiB")
    return Kind(real, sizes, codec, nbytes)


def common(kinds: Iterable[Kind | None]) -> Kind | None:
    """Give one of some kinds if all have one dtype and shape, whatever their codecs."""
    found: Kind | None = None
    for kind in kinds:
        if kind is None:
            return None
        if found is not None and (found.dtype, found.shape) != (kind.dtype, kind.shape):
            return None
        found = found or kind
    return found


def write_dtype(dtype: np.dtype[Any]) -> Any:
    """Write a dtype as JSON: numpy's own text, or for structures their fields.

    Raises
    ------
    UnsupportedError
        A dtype whose values are Python objects or otherwise have no fixed bytes.

    Examples
    --------
    >>> write_dtype(np.dtype(">u2"))
    '>u2'
    >>> write_dtype(np.dtype([("x", "<f4"), ("y", "<i2", (3,))]))
    {'itemsize': 10, 'fields': [['x', 0, '<f4'], ['y', 4, {'base': '<i2', 'shape': [3]}]]}
    """
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return {"base": write_dtype(base), "shape": list(shape)}
    if dtype.fields is not None:
        fields = [_write_field(name, *dtype.fields[name]) for name in dtype.names or ()]
        return {"itemsize": dtype.itemsize, "fields": fields}
    if dtype.hasobject or dtype.kind not in _TAKEN:
        raise UnsupportedError(
            f"arrays of dtype {dtype} cannot be packed: their values are Python objects; "
            "convert them to numbers, fixed-length text or metadata"
        )
    return dtype.str


def _write_field(name: str, dtype: np.dtype[Any], offset: int, title: Any = None) -> list[Any]:
    if title is None:
        return [name, offset, write_dtype(dtype)]
    if not isinstance(title, str):
        raise UnsupportedError(f"the title of field {name!r} is not text: {title!r}")
    return [name, offset, write_dtype(dtype), title]


def read_dtype(described: Any) -> np.dtype[Any]:
    """Turn what :func:`write_dtype` gave back into the dtype; anything else is a FormatError."""
    try:
        return _read_dtype(described)
    except (IndexError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise FormatError(f"not a dtype: {str(described)[:200]}") from error


def _read_dtype(described: Any) -> np.dtype[Any]:
    if isinstance(described, str):
        if not _NAME.fullmatch(described):
            raise ValueError(described)
        return np.dtype(described)
    if "base" in described:
        return np.dtype((_read_dtype(described["base"]), tuple(map(int, described["shape"]))))
    fields = described["fields"]
    return np.dtype(
        {
            "names": [str(field[0]) for field in fields],
            "offsets": [int(field[1]) for field in fields],
            "formats": [_read_dtype(field[2]) for field in fields],
            "titles": [str(field[3]) if len(field) > 3 else None for field in fields],
            "itemsize": int(described["itemsize"]),
        }
    )


def prepare(value: Any) -> NDArray[Any]:
    """Turn a record's value into an array whose bytes can be written as they lie.

    Raises
    ------
    UnsupportedError
        Masked arrays, text, and what is no one array.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise UnsupportedError(
            "a masked array would lose its mask: pack value.filled(...), "
            "or data and mask as fields of one structured array"
        )
    if isinstance(value, str | dict | set | None):
        given = "None" if value is None else f"a {type(value).__name__}"
        raise UnsupportedError(f"a record is an array of numbers, not {given}")
    try:
        return np.asarray(value, order="C")
    except ValueError as error:
        raise UnsupportedError(f"a record must be one array: {error}") from error


def as_bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    """View a C-ordered array as its bytes."""
    if array.nbytes == 0:
        return np.empty(0, np.uint8)
    return array.reshape(-1).view(np.uint8)
