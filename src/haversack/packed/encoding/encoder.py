"""Turn what is appended into what is stored: a kind, and the payload's bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from haversack.errors import UnsupportedError
from haversack.packed.encoding import images
from haversack.packed.encoding.codecs import canonical
from haversack.packed.encoding.codecs import codec as find_codec
from haversack.packed.encoding.kinds import LARGEST, Kind, prepare, write_dtype

AUTO: Final = "auto"
_BYTE = np.dtype(np.uint8)
_NOTHING = np.empty(0, np.uint8)
CodecChoice = str | Callable[[NDArray[Any]], str]


class Stored(NamedTuple):
    """A record as chunks keep it; the payload may be a view of the array that was given."""

    kind: Kind
    payload: NDArray[np.uint8]


class Encoder:
    """Encode records: arrays by a codec, images as the bytes that they are.

    Parameters
    ----------
    codec
        Its name, or a function that gives it for an array. By ``auto`` records stay raw here;
        see :mod:`haversack.packed.encoding.auto`.

    Examples
    --------
    >>> kind, payload = Encoder("zstd").encode(np.zeros((100, 100)))
    >>> kind.codec, kind.shape, len(payload) < 100
    ('zstd-3', (100, 100), True)
    """

    def __init__(self, codec: CodecChoice = "none") -> None:
        self._choose = codec if callable(codec) else None
        self._codec = "none" if callable(codec) or codec == AUTO else canonical(codec)
        self._last: Kind | None = None  # most records are of the kind of the one before

    def encode(self, value: Any) -> Stored:
        """Encode one record.

        Raises
        ------
        UnsupportedError
            It is no array and no image, or of a kind that is not taken.
        FormatError
            An image that is damaged.
        """
        if type(value) is np.ndarray:
            array = np.asarray(value, order="C")
        else:
            file = _file(value)
            if file is not None:
                return _image(file)
            array = prepare(value)
        codec = self._codec if self._choose is None else canonical(self._choose(array))
        dtype, kind = array.dtype, self._last
        if (
            kind is None
            or not (kind.dtype is dtype or kind.dtype == dtype)
            or kind.shape != array.shape
            or kind.codec != codec
        ):
            kind = self._last = _kind(array, codec)
        data = array.ravel() if kind.nbytes else _NOTHING
        data = data if dtype is _BYTE else data.view(_BYTE)
        if codec == "none" or kind.nbytes == 0:
            return Stored(kind, data)
        return Stored(kind, compressed(data, dtype, codec))


def compressed(data: NDArray[np.uint8], dtype: np.dtype[Any], codec: str) -> NDArray[np.uint8]:
    """Encode the bytes of an array by a codec other than ``none``."""
    return np.frombuffer(find_codec(codec).encode(data, dtype.itemsize), _BYTE)


def _kind(array: NDArray[Any], codec: str) -> Kind:
    write_dtype(array.dtype)  # refuses what has no fixed bytes
    if array.nbytes > LARGEST:
        raise UnsupportedError(f"a record of {array.nbytes} bytes: records are under 4 GiB")
    return Kind(array.dtype, array.shape, codec, array.nbytes)


def _file(value: Any) -> memoryview | None:
    """View what was given as a file's bytes; None where it is something else."""
    if isinstance(value, bytes | bytearray):
        return memoryview(value)
    if isinstance(value, memoryview) and value.ndim == 1 and value.format in "Bbc":
        return value.cast("B") if value.c_contiguous else memoryview(bytes(value))
    return None


def _image(file: memoryview) -> Stored:
    if len(file) > LARGEST:
        raise UnsupportedError(f"a file of {len(file)} bytes: records are under 4 GiB")
    return Stored(images.examine(file), np.frombuffer(file, _BYTE))
