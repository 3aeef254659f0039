"""Images that are damaged, cut short or made to harm are refused, and nothing else suffers."""

import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haversack.errors import FormatError, HaversackError, UnsupportedError
from haversack.packed import PackWriter, open_packed, pack
from haversack.packed.encoding import images
from haversack.packed.encoding.encoder import Encoder, Stored
from haversack.packed.encoding.kinds import make_kind

from . import pictures
from .pictures import GRAY, JPEG, LOSSLESS, PNG, TIFF


@pytest.mark.parametrize("file", [JPEG, PNG, TIFF, LOSSLESS["stack"][0]], ids=list("jpts"))
def test_a_truncated_image_is_never_taken(file):
    encoder, lengths = Encoder(), {*range(64), *range(64, len(file), 101), len(file) - 1}
    for length in sorted(lengths):
        with pytest.raises((FormatError, UnsupportedError)):
            encoder.encode(file[:length])


@settings(max_examples=300)
@given(
    st.sampled_from([JPEG, pictures.palette_png()[0], *(file for file, _ in LOSSLESS.values())]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4),
    st.booleans(),
)
def test_a_changed_image_is_refused_or_decodes_the_same_each_time(file, changes, at_ends):
    data = bytearray(file)
    for place, value in changes:
        span = min(300, len(data)) if at_ends else len(data)
        data[int(place * (span - 1))] = value
    try:
        kind, payload = Encoder().encode(bytes(data))
    except HaversackError:
        return
    found = [np.full(kind.shape, fill, kind.dtype) for fill in (1, 77)]
    for array in found:
        images.ImageCodec(kind.codec).decode_into(payload, array)
    assert found[0].tobytes() == found[1].tobytes()


def test_no_flipped_bit_of_a_png_is_missed():
    for at in range(0, len(PNG) * 8, 997):
        data = bytearray(PNG)
        data[at // 8] ^= 1 << at % 8
        with pytest.raises((FormatError, UnsupportedError)):
            Encoder().encode(bytes(data))


def jpeg_frame(height, width):
    at = JPEG.index(b"\xff\xc0") + 5
    return JPEG[:at] + struct.pack(">HH", height, width) + JPEG[at + 4 :]


HUGE = {
    "png": pictures.png_claiming(100_000, 100_000),
    "png under 4 GiB": pictures.png_claiming(60_000, 20_000),
    "jpeg": jpeg_frame(65_500, 65_500),
    "jpeg under 4 GiB": jpeg_frame(30_000, 30_000),
    "tiff": pictures.stack([GRAY], t256=100_000, t257=100_000),
    "tiff under 4 GiB": pictures.stack([GRAY], t256=60_000, t257=60_000),
    "tiff of 2^32 - 1": pictures.stack([GRAY], t256=(1 << 32) - 1, t257=(1 << 32) - 1),
    "tiff of huge tiles": pictures.stack([GRAY], t322=1 << 16, t323=1 << 16),
    "tiff of many samples": pictures.stack([GRAY], t277=60_000, t256=5_000),
}


@pytest.mark.parametrize("file", HUGE.values(), ids=list(HUGE))
def test_a_header_that_claims_gigabytes_allocates_nothing(file):
    tracemalloc.start()
    try:
        with pytest.raises((FormatError, UnsupportedError)):
            Encoder().encode(file)
        assert tracemalloc.get_traced_memory()[1] < 1 << 22
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "file", [jpeg_frame(0, 50), jpeg_frame(40, 0), pictures.png_claiming(0, 1)]
)
def test_an_image_without_pixels_is_refused(file):
    with pytest.raises(FormatError):
        Encoder().encode(file)


def test_pages_without_end_are_refused():
    file = bytearray(LOSSLESS["stack"][0])
    first = struct.unpack_from("<I", file, 4)[0]
    file[-4:] = struct.pack("<I", first)
    with pytest.raises(FormatError, match="no end"):
        Encoder().encode(bytes(file))


def forged(folder, kind, payload):
    """A chunk whose only record is what no writer would write, with right checksums."""
    stored = Stored(kind, np.frombuffer(payload, "u1"))
    with PackWriter(folder) as writer:
        writer._encoder.encode = lambda value: stored
        writer.append(None, key="k")
    return open_packed(folder)


@pytest.mark.parametrize(
    ("dtype", "shape", "codec", "payload"),
    [
        ("|u1", [40, 50], "png", PNG),
        ("|u1", [50, 40, 3], "png", PNG),
        ("|i1", [40, 50, 3], "png", PNG),
        ("<f8", [1 << 28], "png", PNG),
        ("|u1", [40, 50, 3], "jpeg", PNG),
        ("|u1", [40, 50, 3], "tiff", PNG),
        ("|u1", [40, 50, 3], "png", PNG[:-200]),
        ("|u1", [40, 50, 3], "png", b"\0"),
        ("|u1", [40, 50, 3], "jpeg", JPEG[:300]),
        ("<u2", [60, 70, 5], "tiff", TIFF[:9000]),
        ("|u1", [20_000, 60_000], "png", pictures.png_claiming(60_000, 20_000)),
        ("|u1", [40, 50], "tiff", pictures.stack([GRAY], t262=5)),
        ("|u1", [40, 50, 3], "webp", PNG),
    ],
)
def test_a_payload_that_is_not_the_image_its_kind_says_is_a_named_error(
    tmp_path, dtype, shape, codec, payload
):
    ds = forged(tmp_path / "ds", make_kind(dtype, shape, codec), payload)
    for use in (lambda: ds[0].data, lambda: ds.take([0]), lambda: next(ds.batches(1)).data):
        with pytest.raises(FormatError, match=r"record 0 \(key 'k'\)"):
            use()
    (damage,) = ds.verify()
    assert damage.where == "record 0 (key 'k')"


def test_a_damaged_image_does_not_hide_the_others(tmp_path):
    ds = pack([JPEG, PNG, JPEG], tmp_path / "ds")
    (path,) = (tmp_path / "ds/chunks").iterdir()
    data = bytearray(path.read_bytes())
    data[data.index(PNG) + 100] ^= 1
    path.write_bytes(data)
    ds = open_packed(tmp_path / "ds")
    for use in (lambda r: r.data, lambda r: r.encoded):
        with pytest.raises(FormatError, match="record 1 is damaged"):
            use(ds[1])
    assert ds[2].encoded == JPEG
    assert [damage.where for damage in ds.verify()] == ["record 1"]
