"""The bytes of the files that a dataset is made of: GeoTIFF, PNG, PDF, CSV and GeoJSON."""

from __future__ import annotations

import csv
import io
import json
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.convert.image import import_rasterio

Transform = tuple[float, float, float, float, float, float]
"""Affine map from (column, row) to metres: a, b, c, d, e, f as rasterio has them."""


def geotiff(
    image: NDArray[Any],
    *,
    epsg: int,
    transform: Transform,
    names: Sequence[str] = (),
    colours: Mapping[int, tuple[int, int, int]] | None = None,
) -> bytes:
    """Encode (bands, rows, columns) or (rows, columns) as a GeoTIFF; small masks are deflated."""
    rasterio = import_rasterio()
    bands = image if image.ndim == 3 else image[None]
    profile = {
        "driver": "GTiff",
        "count": bands.shape[0],
        "height": bands.shape[1],
        "width": bands.shape[2],
        "dtype": bands.dtype.name,
        "crs": _crs(epsg),
        "transform": rasterio.Affine(*transform),
    }
    if bands.dtype == np.uint8:
        profile["compress"] = "deflate"
    with rasterio.io.MemoryFile() as memory:
        with memory.open(**profile) as file:
            file.write(bands)
            for number, name in enumerate(names, 1):
                file.set_band_description(number, name)
            if colours:
                file.write_colormap(1, dict(colours))
        return bytes(memory.getbuffer())


_CRS: dict[int, Any] = {}


def _crs(epsg: int) -> Any:
    if epsg not in _CRS:
        _CRS[epsg] = import_rasterio().crs.CRS.from_epsg(epsg)
    return _CRS[epsg]


def png(image: NDArray[np.uint8]) -> bytes:
    r"""Encode (rows, columns) in grey or (rows, columns, 3) in colour as PNG.

    Examples
    --------
    >>> png(np.zeros((2, 2), np.uint8))[:4]
    b'\x89PNG'
    """
    rows, columns = image.shape[:2]
    lines = np.zeros((rows, 1 + image.size // rows), np.uint8)
    lines[:, 1:] = image.reshape(rows, -1)
    colour = 2 if image.ndim == 3 else 0
    header = struct.pack(">IIBBBBB", columns, rows, 8, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 5)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def pdf(title: str, lines: Sequence[str]) -> bytes:
    """Set one page of text as PDF 1.4.

    Examples
    --------
    >>> pdf("Guide", ["First line."]).startswith(b"%PDF-1.4")
    True
    """
    text = [f"BT /F2 18 Tf 56 780 Td ({_escape(title)}) Tj /F1 10.5 Tf 0 -32 Td 15 TL"]
    text += [f"({_escape(line)}) Tj T*" for line in lines]
    stream = " \n".join([*text, "ET"]).encode("latin-1", "replace")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
            b"/Resources << /Font << /F1 5 0 R /F2 6 0 R >> >> >>"
        ),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
    ]
    body, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return body + b"xref\n0 %d\n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        size,
        table,
        size,
        len(body),
    )


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Write rows as CSV with a header line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


def features(shapes: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> bytes:
    """Write (geometry, properties) pairs as a GeoJSON feature collection."""
    members = [
        {"type": "Feature", "geometry": geometry, "properties": properties}
        for geometry, properties in shapes
    ]
    return json.dumps({"type": "FeatureCollection", "features": members}).encode()
