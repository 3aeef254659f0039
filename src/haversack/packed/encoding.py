"""Turn what is appended into what is stored: a kind, and the payload's bytes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from haversack.packed.codecs import canonical
from haversack.packed.codecs import codec as find_codec
from haversack.packed.kinds import Kind, as_bytes, prepare, write_dtype


class Stored(NamedTuple):
    """A record as chunks keep it; the payload may be a view of the array that was given."""

    kind: Kind
    payload: NDArray[np.uint8]


class Encoder:
    """Encode records by one codec.

    Examples
    --------
    >>> kind, payload = Encoder("zstd").encode(np.zeros((100, 100)))
    >>> kind.codec, kind.shape, len(payload) < 100
    ('zstd-3', (100, 100), True)
    """

    def __init__(self, codec: str = "none") -> None:
        self._codec = canonical(codec)
        self._last: Kind | None = None  # most records are of the kind of the one before

    def encode(self, value: Any) -> Stored:
        """Encode one record's array; see :func:`kinds.prepare` for what is refused."""
        array = prepare(value)
        kind = self._last
        if kind is None or kind.dtype != array.dtype or kind.shape != array.shape:
            write_dtype(array.dtype)  # refuses what has no fixed bytes
            kind = self._last = Kind(array.dtype, array.shape, self._codec, array.nbytes)
        data = as_bytes(array)
        if self._codec != "none" and data.size:
            encoded = find_codec(self._codec).encode(data, array.dtype.itemsize)
            data = np.frombuffer(encoded, np.uint8)
        return Stored(kind, data)
