"""A gzip file reads the same at any place, and a damaged one never passes."""

import gzip
import os
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haversack.catalog import gzipped
from haversack.catalog.gzipped import GzipFile
from haversack.errors import FormatError

INFLATERS = sorted({"zlib", str(gzipped.zlib.__name__)})
CONTENT = os.urandom(700_000) + bytes(17_000_000) + os.urandom(500_000) + b"end"


@pytest.fixture(scope="module", autouse=True, params=INFLATERS)
def inflater(request):
    """Do without the faster one, as where it is missing; and with it, where it is not."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "zlib":
            patch.setattr(gzipped, "zlib", zlib)
        yield


@pytest.fixture(scope="module")
def whole(inflater, tmp_path_factory):
    path = tmp_path_factory.mktemp("gzip") / "content.gz"
    middle = len(CONTENT) // 3
    path.write_bytes(gzip.compress(CONTENT[:middle], 1) + gzip.compress(CONTENT[middle:], 6))
    file = GzipFile(path)
    assert b"".join(file.blocks()) == CONTENT
    return file


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, len(CONTENT)), st.integers(0, 200_000)), max_size=4))
def test_any_reads_in_any_order_give_the_content(whole, reads):
    for offset, size in reads:
        expected = CONTENT[offset : offset + size]
        assert whole.read(offset, len(expected)) == expected


def test_reading_behind_the_end_is_refused(whole):
    with pytest.raises(FormatError, match="has no byte"):
        whole.read(len(CONTENT) - 1, 2)


def test_padding_behind_the_last_member_is_no_damage(tmp_path):
    path = tmp_path / "padded.gz"
    path.write_bytes(gzip.compress(b"content") + bytes(1000))
    assert b"".join(GzipFile(path).blocks()) == b"content"


@pytest.mark.parametrize("length", [0, 1, 5, 30, -9, -8, -1])
def test_a_file_cut_short_anywhere_is_refused(tmp_path, length):
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(b"some content" * 100)[:length])
    with pytest.raises(FormatError, match=r"cut\.gz"):
        list(GzipFile(path).blocks())


def test_any_flipped_byte_of_the_data_is_refused(tmp_path):
    path = tmp_path / "flipped.gz"
    packed = gzip.compress(os.urandom(300), mtime=0)
    for place in range(10, len(packed)):
        path.write_bytes(packed[:place] + bytes([packed[place] ^ 1]) + packed[place + 1 :])
        with pytest.raises(FormatError, match="flipped"):
            list(GzipFile(path).blocks())


def test_the_places_to_begin_at_hold_little_of_the_packed_bytes(tmp_path):
    path = tmp_path / "random.gz"
    path.write_bytes(gzip.compress(os.urandom(20_000_000), 1))
    file = GzipFile(path)
    assert sum(map(len, file.blocks())) == 20_000_000
    assert len(file._marks) >= 3
    assert all(len(mark.state.unconsumed_tail) <= 32 << 10 for mark in file._marks)
