"""Checksums in every notation that catalogs and servers use."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haversack.download.digest import Digest, of_catalog, of_headers

DATA = b"some bytes"
CODES = {
    "11": "sha1",
    "12": "sha256",
    "13": "sha512",
    "14": "sha3_512",
    "16": "sha3_256",
    "d501": "md5",
    "c0e402": "blake2b",
}


@pytest.mark.parametrize(("code", "name"), CODES.items())
def test_a_multihash_is_checked(code, name):
    digest = hashlib.new(name, DATA).digest()
    for upper in (False, True):
        text = f"{code}{len(digest):02x}{digest.hex()}"
        (expected,) = of_catalog(text.upper() if upper else text)
        assert expected.algorithm == name
        right, wrong = Digest([expected]), Digest([expected])
        right.update(DATA)
        wrong.update(DATA + b"x")
        assert right.mismatch() is None
        assert wrong.mismatch() is expected


@given(st.text())
def test_no_text_breaks_the_reader(text):
    of_catalog(text)


@given(st.binary())
def test_no_bytes_break_the_reader(data):
    of_catalog(data.hex())


def test_a_digest_cut_short_is_no_digest():
    assert of_catalog("1210" + "00" * 16) == ()
    assert of_catalog("1220" + "00" * 31) == ()


def test_headers_that_are_no_digests_are_ignored():
    md5 = base64.b64encode(hashlib.md5(DATA).digest()).decode()
    assert [e.algorithm for e in of_headers({"content-md5": md5})] == ["md5"]
    assert of_headers({"content-md5": "???", "x-amz-checksum-sha256": "AAAA"}) == ()


OF_S3 = {"etag": f'"{hashlib.md5(DATA).hexdigest()}"'}


@pytest.mark.parametrize("who", [{"server": "AmazonS3"}, {"x-amz-request-id": "1"}])
@pytest.mark.parametrize("more", [{}, {"x-amz-server-side-encryption": "AES256"}])
def test_an_etag_of_s3_is_an_md5(who, more):
    (expected,) = of_headers(OF_S3 | who | more)
    assert (expected.algorithm, expected.digest) == ("md5", hashlib.md5(DATA).digest())


@pytest.mark.parametrize(
    "more",
    [
        {"server": "nginx"},
        {"server": "AmazonS3", "etag": f"W/{OF_S3['etag']}"},
        {"server": "AmazonS3", "etag": f'{OF_S3["etag"][:-1]}-1"'},
        {"server": "AmazonS3", "x-amz-server-side-encryption": "aws:kms:dsse"},
        {"server": "AmazonS3", "x-amz-server-side-encryption-customer-algorithm": "AES256"},
        {"server": "AmazonS3", "x-amz-storage-class": "EXPRESS_ONEZONE"},
    ],
)
def test_an_etag_that_is_no_md5_says_nothing(more):
    assert of_headers(OF_S3 | more) == ()
