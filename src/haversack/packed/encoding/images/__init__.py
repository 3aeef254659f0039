"""Images that are kept as the bytes they came in, and decoded when they are read.

JPEG, PNG and TIFF. Their headers are read here, so that a decoder is only given what is possible;
the decoding is the work of imagecodecs, which releases the GIL.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from haversack.errors import FormatError, MissingExtraError, UnsupportedError
from haversack.packed.encoding.images import jpeg, png, tiff
from haversack.packed.encoding.images.head import Head
from haversack.packed.encoding.kinds import Kind

_FORMATS: Final[dict[str, Any]] = {"jpeg": jpeg, "png": png, "tiff": tiff}
NAMES: Final = frozenset(_FORMATS)  # of their codecs
_MAGICS = {jpeg.MAGIC: "jpeg", png.MAGIC: "png", **dict.fromkeys(tiff.MAGICS, "tiff")}


def sniff(data: memoryview) -> str | None:
    """Tell by its first bytes which image a file is; None where it is none that is taken."""
    return next((name for magic, name in _MAGICS.items() if data[: len(magic)] == magic), None)


def examine(data: memoryview) -> Kind:
    """Find out what the array of an image is, having decoded it once.

    Raises
    ------
    UnsupportedError
        It is none of these images, or one whose samples cannot be given as they are stored.
    FormatError
        It is damaged.
    MissingExtraError
        imagecodecs is not installed.
    """
    name = sniff(data)
    if name is None:
        raise UnsupportedError(
            f"bytes are taken as a record where they are a JPEG, PNG or TIFF file; these begin "
            f"with {bytes(data[:8])!r}: np.frombuffer makes an array of others, and metadata may "
            "hold bytes"
        )
    library = _library(name)
    head = _head(name, data)
    _FORMATS[name].check(data)
    _decode(name, data, head, np.empty(head.shape, head.dtype), library)
    return Kind(head.dtype, head.shape, name, head.nbytes)


class ImageCodec:
    """Decode the images of one format."""

    def __init__(self, name: str) -> None:
        self._name = name

    def decode_into(self, payload: NDArray[np.uint8], out: NDArray[Any]) -> None:
        """Decode an image into an array of its dtype and shape."""
        data, library = payload.data, _library(self._name)
        if sniff(data) != self._name:
            raise FormatError(f"it is no {self._name.upper()}")
        try:
            head = _head(self._name, data)
        except UnsupportedError as error:
            raise FormatError(str(error)) from error
        if head.dtype != out.dtype or head.shape != out.shape:
            raise FormatError(
                f"an image of {head.dtype} {list(head.shape)}, not {out.dtype} {list(out.shape)}"
            )
        _decode(self._name, data, head, out, library)


def pages(data: memoryview) -> Iterator[NDArray[Any]]:
    """Decode the pages of a TIFF one after the other; those that are alike are taken.

    Raises
    ------
    UnsupportedError
        Its pages differ, or its samples cannot be given as they are stored.
    FormatError
        It is damaged, or no TIFF.
    MissingExtraError
        imagecodecs is not installed.
    """
    if sniff(data) != "tiff":
        raise FormatError(f"it is no TIFF: it begins with {bytes(data[:8])!r}")
    whole, library = tiff.head(data), _library("tiff")
    shape = whole.shape if len(whole.pages) == 1 else whole.shape[1:]
    for number in whole.pages:
        page = tiff.TiffHead(whole.dtype, shape, [number], whole.jpeg)
        page.check_size(len(data))
        out = np.empty(shape, whole.dtype)
        _decode("tiff", data, page, out, library)
        yield out


def page_axes(data: memoryview) -> str:
    """Name the axes of the pages of a TIFF: y and x, and c where pixels have several values."""
    return tiff.page_axes(data)


def _head(name: str, data: memoryview) -> Head:
    head: Head = _FORMATS[name].head(data)
    head.check_size(len(data))
    return head


def _decode(
    name: str, data: memoryview, head: Head, out: NDArray[Any], library: ModuleType
) -> None:
    try:
        _FORMATS[name].decode(data, head, out, library)
    except MemoryError:
        raise
    except Exception as error:
        # Of many classes: one for each of the libraries behind it, and Python's own.
        raise FormatError(f"a {name.upper()} that cannot be decoded: {error}") from error


def _library(name: str) -> ModuleType:
    try:
        import imagecodecs
    except ImportError as error:
        raise MissingExtraError(
            f"records that are {name.upper()} files need imagecodecs: "
            "pip install 'haversack[images]'"
        ) from error
    found: ModuleType = imagecodecs
    return found
