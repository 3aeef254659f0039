"""Read image files as arrays."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from haversack.errors import FormatError, MissingExtraError, PathNotFoundError, UnsupportedError

_DRIVERS = {
    b"II*\x00": "GTiff",
    b"MM\x00*": "GTiff",
    b"II+\x00": "GTiff",
    b"MM\x00+": "GTiff",
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
}
_QUIET = threading.Lock()


def import_rasterio() -> Any:
    """Import rasterio, or say what to install."""
    try:
        import rasterio
        import rasterio.features
        import rasterio.warp
    except ImportError as error:
        raise MissingExtraError(
            "GeoTIFF, PNG and JPEG need rasterio: pip install 'haversack[geo]'"
        ) from error
    return rasterio


def read_image(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read a GeoTIFF, TIFF, PNG or JPEG.

    Parameters
    ----------
    path
        The file. What it is is told from its first bytes, never from its name.

    Returns
    -------
    ndarray
        Pixels as they are stored: ``(bands, y, x)``, or ``(y, x)`` where there is one band. A
        palette's indices are not turned into colours.

    Raises
    ------
    PathNotFoundError
        Nothing stands there.
    UnsupportedError
        It is no image of these kinds.
    FormatError
        It is damaged.
    MissingExtraError
        rasterio is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from haversack.demo.files import png
    >>> _ = Path("mask.png").write_bytes(png(np.eye(3, dtype=np.uint8)))
    >>> read_image("mask.png")
    array([[1, 0, 0],
           [0, 1, 0],
           [0, 0, 1]], dtype=uint8)
    """
    return read_with_place(Path(path))[0]


def read_with_place(path: Path) -> tuple[NDArray[Any], dict[str, Any]]:
    """Read an image, and where it lies: ``proj:code`` and ``proj:transform``, as far as it says."""
    driver = _driver(path)
    rasterio = import_rasterio()
    try:
        with _opened(rasterio, path, driver) as file:
            bands = file.read()
            place = _place(file)
    except rasterio.errors.RasterioIOError as error:
        raise FormatError(f"{path} is damaged: {error}. Download it again") from error
    return (bands[0] if len(bands) == 1 else bands), place


def is_image(path: Path) -> bool:
    """Tell by its first bytes whether a file is an image that :func:`read_image` takes."""
    return _sniff(path) is not None


def _driver(path: Path) -> str:
    try:
        driver = _sniff(path)
    except FileNotFoundError as error:
        raise PathNotFoundError(f"{path} does not exist") from error
    except IsADirectoryError as error:
        raise UnsupportedError(f"{path} is a directory, no image") from error
    if driver is None:
        raise UnsupportedError(f"{path} is no image: haversack reads GeoTIFF, TIFF, PNG and JPEG")
    return driver


def _sniff(path: Path) -> str | None:
    with path.open("rb") as file:
        head = file.read(4)
    return next((name for magic, name in _DRIVERS.items() if head.startswith(magic)), None)


@contextmanager
def _opened(rasterio: Any, path: Path, driver: str) -> Iterator[Any]:
    # Files beside an image, which might come from anywhere, have no say in what it is.
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_PAM_ENABLED="NO"):
        # An image without a place is nothing to warn of; the filter is the process's, so a lock.
        with _QUIET, warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            file = rasterio.open(path.absolute(), driver=driver)
        with file:
            yield file


def _place(file: Any) -> dict[str, Any]:
    if file.crs is None:
        return {}
    code = file.crs.to_authority()
    named = {"proj:code": ":".join(code)} if code else {"proj:wkt2": file.crs.to_wkt()}
    return {**named, "proj:transform": [float(number) for number in tuple(file.transform)[:6]]}
