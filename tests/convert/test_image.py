"""Images are read as they are stored, without noise, and with clear errors."""

import threading
import warnings

import numpy as np
import pytest

from haversack.convert import read_image
from haversack.convert.image import is_image, read_with_place
from haversack.demo.files import geotiff, png
from haversack.errors import FormatError, PathNotFoundError, UnsupportedError

rasterio = pytest.importorskip("rasterio")
TRANSFORM = (10.0, 0.0, 6e5, 0.0, -10.0, 5.3e6)


def placed(image):
    return geotiff(image, epsg=32633, transform=TRANSFORM)


def write(path, driver, image):
    profile = {"count": len(image), "height": image.shape[1], "width": image.shape[2]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(path, "w", driver=driver, dtype=image.dtype, **profile) as file:
            file.write(image)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32", "float64", "complex64"])
@pytest.mark.parametrize("bands", [1, 3])
def test_pixels_are_what_was_written(tmp_path, dtype, bands):
    image = np.random.default_rng(0).integers(0, 99, (bands, 7, 9)).astype(dtype)
    write(tmp_path / "a.tif", "GTiff", image)
    seen = read_image(tmp_path / "a.tif")
    assert seen.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(seen, image[0] if bands == 1 else image)


def test_a_picture_without_a_place_gives_no_warning(tmp_path):
    image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    (tmp_path / "a.png").write_bytes(png(image))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image.transpose(2, 0, 1))
    write(tmp_path / "a.jpg", "JPEG", np.full((1, 16, 16), 99, np.uint8))
    assert read_image(tmp_path / "a.jpg").shape == (16, 16)
    assert read_with_place(tmp_path / "a.png")[1] == {}


def test_the_place_of_a_geotiff_is_told(tmp_path):
    (tmp_path / "a.tif").write_bytes(placed(np.zeros((2, 3, 4), np.uint16)))
    _, place = read_with_place(tmp_path / "a.tif")
    assert place == {"proj:code": "EPSG:32633", "proj:transform": list(TRANSFORM)}


def test_files_beside_an_image_have_no_say(tmp_path):
    (tmp_path / "a.png").write_bytes(png(np.eye(4, dtype=np.uint8)))
    (tmp_path / "a.pgw").write_text("10\n0\n0\n-10\n5\n5\n")
    (tmp_path / "a.png.aux.xml").write_text("<PAMDataset><SRS>EPSG:32633</SRS></PAMDataset>")
    assert read_with_place(tmp_path / "a.png")[1] == {}


def test_the_name_of_a_file_does_not_matter(tmp_path):
    (tmp_path / "a.csv").write_bytes(png(np.eye(3, dtype=np.uint8)))
    assert is_image(tmp_path / "a.csv")
    assert read_image(tmp_path / "a.csv").sum() == 3


@pytest.mark.parametrize(
    "content", [b"", b"a,b\n1,2\n", b"<VRTDataset>", b"%PDF-1.4"], ids=["", "csv", "vrt", "pdf"]
)
def test_what_is_no_image_is_named(tmp_path, content):
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    assert not is_image(path)
    with pytest.raises(UnsupportedError, match=r"a\.tif is no image"):
        read_image(path)


def test_a_missing_file_and_a_directory_are_named(tmp_path):
    with pytest.raises(PathNotFoundError, match="nothing here"):
        read_image(tmp_path / "nothing here")
    with pytest.raises(UnsupportedError, match="is a directory"):
        read_image(tmp_path)


@pytest.mark.parametrize("keep", [4, 60, 150])
def test_a_truncated_image_is_never_read(tmp_path, keep):
    whole = placed(np.ones((3, 20, 20), np.uint16))
    (tmp_path / "a.tif").write_bytes(whole[:keep])
    with pytest.raises(FormatError, match=r"a\.tif is damaged"):
        read_image(tmp_path / "a.tif")


def test_threads_do_not_leak_a_warning_filter(tmp_path):
    (tmp_path / "a.png").write_bytes(png(np.eye(3, dtype=np.uint8)))
    before = list(warnings.filters)
    threads = [
        threading.Thread(target=lambda: [read_image(tmp_path / "a.png") for _ in range(20)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before
