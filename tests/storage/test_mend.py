"""One changed byte is undone; what is damaged worse is left alone."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haversack.storage.checksum import crc32c
from haversack.storage.mend import LONGEST, mended


@given(st.binary(min_size=1, max_size=300), st.integers(0), st.integers(1, 255))
def test_any_change_of_one_byte_is_undone(data, place, change):
    place %= len(data)
    damaged = data[:place] + bytes([data[place] ^ change]) + data[place + 1 :]
    assert mended(damaged, crc32c(data)) == data


def test_bytes_that_are_whole_stay():
    assert mended(b"", crc32c(b"")) == b""
    assert mended(b"x" * 10 * LONGEST, crc32c(b"x" * 10 * LONGEST)) == b"x" * 10 * LONGEST


@pytest.mark.parametrize("size", [4, 40, 400])
def test_worse_damage_is_not_taken_for_less(size):
    chance, wrong = random.Random(0), 0
    for _ in range(300):
        data = chance.randbytes(size)
        damaged = bytearray(data)
        for place in chance.sample(range(size), 3):
            damaged[place] ^= chance.randrange(1, 256)
        wrong += mended(bytes(damaged), crc32c(data)) is not None
    assert wrong <= 1


def test_what_is_long_is_not_tried():
    data = bytes(LONGEST + 1)
    assert mended(b"\1" + data[1:], crc32c(data)) is None
    assert mended(b"\1" + data[1:], crc32c(data), longest=1 << 20) == data
