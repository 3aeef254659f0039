"""Image files of many sorts, made by GDAL (and by hand), with the arrays that they hold."""

import struct
import warnings
import zlib

import imagecodecs
import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile


def pixels(shape, dtype="u1", seed=0):
    """A smooth array with some noise."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 200, int(np.prod(shape))).reshape(shape)
    return (ramp + rng.integers(0, 9, shape)).astype(dtype)


def geotiff(bands, overviews=(), **options):
    """Write an array of (bands, y, x) with a place, and smaller ones beside it."""
    count, height, width = bands.shape
    size = {"count": count, "height": height, "width": width, "dtype": bands.dtype}
    place = rasterio.Affine(10, 0, 300_000, 0, -10, 5_000_000)
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", crs=32633, transform=place, **size, **options) as f:
            f.write(bands)
            f.build_overviews(list(overviews))
        return memory.read()


def by_gdal(data):
    """What GDAL reads: (bands, y, x)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with MemoryFile(data) as memory, memory.open() as file:
            return file.read()


def png_chunk(name, content):
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png(rows, bits, colour, *extra, width=None, interlace=0):
    """Write rows of packed samples as a PNG."""
    width = width or rows.shape[1]
    head = struct.pack(">IIBBBBB", width, len(rows), bits, colour, 0, 0, interlace)
    filtered = b"".join(b"\0" + row.tobytes() for row in rows)
    chunks = [(b"IHDR", head), *extra, (b"IDAT", zlib.compress(filtered)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def png_claiming(width, height):
    """Write a PNG of few bytes that is said to be large."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def palette_png(bits=8):
    """A mask of classes with colours, as labellers write it, and its classes."""
    classes = (np.arange(24 * 32).reshape(24, 32) // 5 % (1 << min(bits, 4))).astype("u1")
    packed = np.packbits(np.unpackbits(classes[..., None], axis=2)[..., -bits:].reshape(24, -1), 1)
    colours = (b"PLTE", bytes(range(3 * (1 << min(bits, 4)))))
    return png(packed, bits, 3, colours, (b"tRNS", b"\0"), width=32), classes


GRAY, RGB, WIDE = pixels((40, 50)), pixels((40, 50, 3)), pixels((40, 50, 3), "u2") * 300


def lossless():
    """Name -> (file, array) of files that hold an array exactly."""
    bands = pixels((5, 60, 70), "u2") * 37
    cube = np.moveaxis(bands, 0, -1)
    floats = cube.astype("f4") / 7
    tiles = {"tiled": True, "blockxsize": 32, "blockysize": 32}
    return {
        "gray png": (imagecodecs.png_encode(GRAY), GRAY),
        "rgb png": (imagecodecs.png_encode(RGB), RGB),
        "16-bit png": (imagecodecs.png_encode(WIDE), WIDE),
        "gray tiff": (geotiff(GRAY[None]), GRAY),
        "deflate tiff": (geotiff(bands, compress="deflate", predictor=2), cube),
        "lzw tiles": (geotiff(bands, compress="lzw", predictor=2, **tiles), cube),
        "zstd bands": (geotiff(bands, compress="zstd", interleave="band", **tiles), bands),
        "big tiff": (geotiff(bands, bigtiff="yes", compress="deflate"), cube),
        "big-endian tiff": (geotiff(bands, endianness="big", compress="lzw", predictor=2), cube),
        "big big-endian": (geotiff(bands, endianness="big", bigtiff="yes"), cube),
        "float tiff": (geotiff(bands.astype("f4") / 7, compress="lzw", predictor=3), floats),
        "signed tiff": (geotiff(bands.astype("i2") - 99), cube.astype("i2") - 99),
        "complex tiff": (geotiff(bands.astype("c8") * 1j), cube.astype("c8") * 1j),
        "big-endian stack": (stack(bands, ">"), bands),
        "stack": (stack(bands), bands),
    }


def stack(pages, order="<", **tags):
    """Write uncompressed pages as a TIFF by hand; ``tags`` changes those of the last page."""
    out = bytearray(b"II*\0" if order == "<" else b"MM\0*") + bytes(4)
    link = 4
    for number, page in enumerate(pages):
        data = page.astype(page.dtype.newbyteorder(order)).tobytes()
        kind = {"u": 1, "i": 2, "f": 3}[page.dtype.kind]
        entries = {
            254: 0,
            256: page.shape[1],
            257: page.shape[0],
            258: page.dtype.itemsize * 8,
            259: 1,
            262: 1,
            273: len(out),
            277: 1,
            278: page.shape[0],
            279: len(data),
            339: kind,
        }
        if number == len(pages) - 1:
            entries |= {int(tag[1:]): value for tag, value in tags.items()}
        out += data + bytes(len(data) % 2)
        out[link : link + 4] = struct.pack(order + "I", len(out))
        out += struct.pack(order + "H", len(entries))
        for tag, value in entries.items():
            out += struct.pack(order + "HHII", tag, 4, 1, value)
        link = len(out)
        out += bytes(4)
    return bytes(out)


LOSSLESS = lossless()
JPEG = imagecodecs.jpeg8_encode(RGB, level=90)
PNG, TIFF = LOSSLESS["rgb png"][0], LOSSLESS["deflate tiff"][0]
