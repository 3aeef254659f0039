"""Images given as files are kept as they are, and decoded when they are read."""

import sys

import imagecodecs
import numpy as np
import pytest

from haversack import DiskDataset, merge_datasets
from haversack.errors import (
    MissingExtraError,
    UnsupportedError,
    UsageError,
)
from haversack.packed import PackWriter, open_packed, pack
from haversack.packed.encoding import images
from haversack.packed.encoding.encoder import Encoder
from haversack.packed.writing.smallchunks import MOST

from . import pictures
from .conftest import same
from .pictures import GRAY, JPEG, LOSSLESS, PNG, RGB


@pytest.mark.parametrize("name", LOSSLESS)
def test_a_file_comes_back_byte_for_byte_and_as_its_array(tmp_path, name):
    file, array = LOSSLESS[name]
    ds = pack([(file, {"n": 1})], tmp_path / "ds")
    assert ds[0].encoded == file
    assert same(ds[0].data, array)
    assert not ds[0].data.flags.writeable
    assert ds[0].metadata == {"n": 1}
    assert ds.verify() == []


@pytest.mark.parametrize("name", [name for name in LOSSLESS if "stack" not in name])
def test_gdal_decodes_the_same(name):
    file, array = LOSSLESS[name]
    found = pictures.by_gdal(file)
    if found.shape != array.shape:
        found = np.moveaxis(found, 0, -1).reshape(array.shape)
    assert np.array_equal(found, array)


@pytest.mark.parametrize("array", [GRAY, RGB, np.dstack([RGB, GRAY])], ids=["gray", "rgb", "cmyk"])
@pytest.mark.parametrize("options", [{}, {"optimize": True, "subsampling": "420"}])
def test_a_jpeg_is_decoded_as_others_do(tmp_path, array, options):
    options = {} if array is GRAY else options
    colours = "CMYK" if array.shape[-1] == 4 else None
    file = imagecodecs.jpeg8_encode(
        array, level=95, colorspace=colours, outcolorspace=colours, **options
    )
    found = pack([file], tmp_path / "ds")[0].data
    assert found.shape == array.shape
    assert np.abs(found.astype(int) - array).mean() < 8
    if array.shape[-1] != 4:
        seen = np.moveaxis(pictures.by_gdal(file), 0, -1).reshape(array.shape)
        assert np.abs(found.astype(int) - seen).max() <= 8


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview])
def test_any_bytes_are_taken_and_may_change_afterwards(tmp_path, make):
    given = make(bytearray(PNG))
    with PackWriter(tmp_path / "ds", codec="zstd") as writer:
        writer.append(given, key="a", codec="is metadata")
        if make is not bytes:
            given[:] = bytes(len(PNG))
    record = open_packed(tmp_path / "ds").record("a")
    assert record.encoded == PNG
    assert record.metadata == {"codec": "is metadata"}


def test_images_and_arrays_live_in_one_dataset(tmp_path):
    given = [JPEG, RGB, PNG, np.zeros((2, 2)), LOSSLESS["gray png"][0]]
    ds = pack(given, tmp_path / "ds", codec="blosc-lz4")
    assert [r.encoded for r in ds] == [JPEG, None, PNG, None, LOSSLESS["gray png"][0]]
    taken = ds.take([2, 1, 2])
    assert same(taken, np.stack([RGB] * 3))
    out = np.empty((2, *RGB.shape), "u1")
    assert ds.take([1, 2], out=out) is out
    assert same(out, np.stack([RGB] * 2))
    assert [array.shape for array in ds.take(range(5))] == [(40, 50, 3)] * 3 + [(2, 2), (40, 50)]


@pytest.mark.parametrize("threads", [0, 2])
def test_batches_are_decoded(tmp_path, threads):
    arrays = [pictures.pixels((20, 30, 3), seed=n) for n in range(20)]
    ds = pack(map(imagecodecs.png_encode, arrays), tmp_path / "ds")
    for batch in ds.batches(6, shuffle=True, threads=threads):
        assert same(batch.data, np.stack([arrays[i] for i in batch.indices]))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        b"GIF89a" + bytes(20),
        b"\xff\xd8",
        b"\x89PN",
        bytearray(100),
        memoryview(bytes(9)),
        memoryview(b"II*"),
    ],
)
def test_other_bytes_are_refused_by_what_is_taken(tmp_path, data):
    with PackWriter(tmp_path / "ds") as writer:
        with pytest.raises(UnsupportedError, match="JPEG, PNG or TIFF"):
            writer.append(data)
        writer.append(PNG)
    assert len(open_packed(tmp_path / "ds")) == 1


def test_views_of_numbers_are_still_arrays(tmp_path):
    numbers = np.arange(6.0).reshape(2, 3)
    assert same(pack([numbers.data], tmp_path / "ds")[0].data, numbers)


# What is decoded how.


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_palette_png_gives_its_classes(tmp_path, bits):
    file, classes = pictures.palette_png(bits)
    assert same(pack([file], tmp_path / "ds")[0].data, classes)
    assert same(pictures.by_gdal(file)[0], classes)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_gray_of_few_bits_is_not_scaled(tmp_path, bits):
    values = (np.arange(16 * 24).reshape(16, 24) % (1 << bits)).astype("u1")
    rows = np.packbits(np.unpackbits(values[..., None], axis=2)[..., -bits:].reshape(16, -1), 1)
    assert same(pack([pictures.png(rows, bits, 0, width=24)], tmp_path / "ds")[0].data, values)


@pytest.mark.parametrize(("array", "colour", "key"), [(GRAY, 0, b"\0\7"), (RGB, 2, bytes(6))])
def test_a_transparent_colour_makes_no_alpha(tmp_path, array, colour, key):
    file = pictures.png(array.reshape(40, -1), 8, colour, (b"tRNS", key), width=50)
    assert same(pack([file], tmp_path / "ds")[0].data, array)


def test_an_alpha_that_is_stored_stays(tmp_path):
    array = pictures.pixels((30, 20, 4))
    assert same(pack([imagecodecs.png_encode(array)], tmp_path / "ds")[0].data, array)


def test_overviews_and_masks_are_no_pages(tmp_path):
    bands = pictures.pixels((2, 600, 500), "u2")
    file = pictures.geotiff(bands, overviews=[2, 4], compress="deflate", tiled=True)
    assert same(pack([file], tmp_path / "ds")[0].data, np.moveaxis(bands, 0, -1))


def test_pages_that_differ_are_refused():
    for pages in ([GRAY, GRAY[:9]], [GRAY, GRAY.astype("u2")]):
        with pytest.raises(UnsupportedError, match="pages that differ"):
            Encoder().encode(pictures.stack(pages))
    thumbnail = pictures.stack([GRAY, GRAY[:9]], t254=1)
    assert Encoder().encode(thumbnail).kind.shape == GRAY.shape


@pytest.mark.parametrize(
    "tags",
    [
        *({"t258": 1}, {"t258": 12}, {"t262": 5}, {"t262": 6}, {"t262": 32845}, {"t339": 4}),
        *({"t259": 6}, {"t259": 7, "t274": 3}, {"t32997": 2}, {"t258": 8, "t339": 3}),
    ],
)
def test_a_tiff_whose_samples_would_not_stay_as_stored_is_refused(tags):
    with pytest.raises(UnsupportedError, match="TIFF"):
        Encoder().encode(pictures.stack([GRAY], **tags))


TILES = {"tiled": True, "blockxsize": 32, "blockysize": 32}


@pytest.mark.parametrize(
    ("array", "options"),
    [(GRAY, {}), (RGB, {}), (RGB, {"photometric": "ycbcr"}), (GRAY, TILES), (RGB, TILES)],
)
def test_a_tiff_coded_as_jpeg_is_decoded(tmp_path, array, options):
    bands = np.moveaxis(np.atleast_3d(array), -1, 0)
    file = pictures.geotiff(bands, compress="jpeg", **options)
    found = pack([file], tmp_path / "ds")[0].data
    seen = np.moveaxis(pictures.by_gdal(file), 0, -1).reshape(found.shape)
    assert np.abs(found.astype(int) - seen).max() <= 2


# Elsewhere.


def test_copies_and_merges_keep_the_bytes(tmp_path):
    files = [imagecodecs.jpeg8_encode(pictures.pixels((9, 9), seed=n)) for n in range(MOST + 3)]
    for number, file in enumerate(files):
        with PackWriter(tmp_path / "ds") as writer:
            writer.append(file, key=number, n=number)
    ds = open_packed(tmp_path / "ds")
    assert len(ds.manifest.chunks) <= MOST
    assert [record.encoded for record in ds] == files
    copy = pack(ds[::2], tmp_path / "copy", key=lambda record: record.key)
    assert [record.encoded for record in copy] == files[::2]
    assert copy.keys() == ds.keys()[::2]
    assert copy[1].metadata == {"n": 2}


def test_merging_image_datasets_keeps_the_bytes(tmp_path):
    first, second = DiskDataset(tmp_path / "a"), DiskDataset(tmp_path / "b")
    first.add_image("here", "cam", PNG)
    merge_datasets([first], second)
    packed = second.images()
    assert packed is not None
    assert packed[0].encoded == PNG
    assert same(second.load_image("here", "cam"), RGB)


def test_without_imagecodecs_all_but_pixels_can_be_had(tmp_path, monkeypatch):
    ds = pack([(PNG, {"a": 1})], tmp_path / "ds")
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    assert ds[0].encoded == PNG
    assert ds[0].metadata == {"a": 1}
    for use in (lambda: ds[0].data, lambda: ds.take([0]), ds.verify):
        with pytest.raises(MissingExtraError, match=r"haversack\[images\]"):
            use()
    with PackWriter(tmp_path / "ds") as writer:
        with pytest.raises(MissingExtraError, match=r"haversack\[images\]"):
            writer.append(PNG)
        writer.append([1])
    assert len(open_packed(tmp_path / "ds")) == 2


@pytest.mark.parametrize("name", sorted(images.NAMES))
def test_a_codec_of_files_cannot_be_asked_for(tmp_path, name):
    with pytest.raises(UsageError, match="append the bytes"):
        PackWriter(tmp_path / "ds", codec=name)
