"""The files that the hub is made of are what their suffixes say."""

import csv
import io
import re
import zlib

import numpy as np
import pytest

from haversack.demo.files import geotiff, pdf, png, table

rasterio = pytest.importorskip("rasterio")


def test_each_object_of_a_pdf_lies_where_its_table_says():
    document = pdf("A (short) guide", ["First line.", r"Back\slash"])
    [start] = [int(number) for number in re.findall(rb"startxref\n(\d+)\n%%EOF\n$", document)]
    assert document[start:].startswith(b"xref\n")
    offsets = [int(line) for line in re.findall(rb"(\d{10}) 00000 n ", document)]
    for number, offset in enumerate(offsets, 1):
        assert document[offset:].startswith(b"%d 0 obj\n" % number)
    [length] = [int(number) for number in re.findall(rb"/Length (\d+)", document)]
    stream = document.split(b"stream\n", 1)[1]
    assert stream[length:].startswith(b"\nendstream")
    assert rb"A \(short\) guide" in stream


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_a_png_is_read_back_equal(tmp_path, shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    path = tmp_path / "image.png"
    path.write_bytes(png(image))
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning), rasterio.open(path) as file:
        seen = file.read()
    expected = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
    np.testing.assert_array_equal(seen, expected)


def test_a_geotiff_keeps_its_bands_place_and_colours(tmp_path):
    image = np.arange(60, dtype=np.uint16).reshape(3, 4, 5)
    path = tmp_path / "image.tif"
    transform = (10.0, 0.0, 600_000.0, 0.0, -10.0, 5_300_000.0)
    path.write_bytes(geotiff(image, epsg=32633, transform=transform, names=("a", "b", "c")))
    with rasterio.open(path) as file:
        np.testing.assert_array_equal(file.read(), image)
        assert file.crs.to_epsg() == 32633
        assert file.transform[:6] == transform
        assert file.descriptions == ("a", "b", "c")
    mask = np.eye(4, dtype=np.uint8)
    path.write_bytes(geotiff(mask, epsg=32633, transform=transform, colours={1: (9, 8, 7)}))
    with rasterio.open(path) as file:
        assert file.colormap(1)[1][:3] == (9, 8, 7)
        np.testing.assert_array_equal(file.read(1), mask)


def test_a_table_is_read_back_equal():
    rows = [["a,b", "1"], ['say "x"', "2"]]
    read = list(csv.reader(io.StringIO(table(["text", "n"], rows).decode())))
    assert read == [["text", "n"], *rows]


def test_png_checksums_are_right():
    body = png(np.zeros((2, 2), np.uint8))[8:]
    while body:
        size, name = int.from_bytes(body[:4]), body[4:8]
        assert zlib.crc32(name + body[8 : 8 + size]) == int.from_bytes(body[8 + size : 12 + size])
        body = body[12 + size :]
