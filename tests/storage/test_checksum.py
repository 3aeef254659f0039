"""Checksums agree with the standards, for every kind of buffer."""

import hashlib

import numpy as np
import pytest

from haversack.storage.checksum import crc32c, sha256_multihash


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda b: np.frombuffer(b, "u1")])
def test_crc32c_of_the_check_string(kind):
    assert crc32c(kind(b"123456789")) == 0xE3069283


def test_crc32c_of_an_array_is_that_of_its_bytes():
    array = np.arange(60, dtype=">i4").reshape(3, 4, 5)
    assert crc32c(array) == crc32c(array.tobytes())


def test_sha256_multihash_names_its_algorithm(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content" * 1000)
    assert sha256_multihash(path) == "1220" + hashlib.sha256(b"content" * 1000).hexdigest()
