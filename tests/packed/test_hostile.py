"""A dataset made to harm its reader is refused before anything is allocated for it."""

import os
import re
import shutil

import msgspec
import numpy as np
import pytest
from tests.running import run_python

from haversack.errors import FormatError, HaversackError
from haversack.packed import PackWriter, open_packed
from haversack.packed.chunks import layout
from haversack.packed.chunks.reader import Chunk
from haversack.packed.encoding.codecs import codec
from haversack.packed.encoding.kinds import make_kind, read_dtype
from haversack.packed.manifests.manifest import encode
from haversack.storage.checksum import crc32c

HUGE = (1 << 64) - 1


@pytest.fixture
def chunk_path(tmp_path):
    with PackWriter(tmp_path / "ds", codec="zstd") as writer:
        for number in range(4):
            writer.append(np.full((number + 1, 8), number, "u2"), key=number)
    (path,) = (tmp_path / "ds/chunks").iterdir()
    return path


def forged(path, *, table=None, footer=None):
    """The bytes of a chunk with a changed section or footer, all checksums right."""
    data = np.fromfile(path, np.uint8)
    found, _ = layout.read_footer(data, path.stem, path)
    end = len(data) - 64
    at = int.from_bytes(bytes(data[end + 32 : end + 40]), "little")
    plain = msgspec.json.decode(msgspec.json.encode(found))
    for name, change in (table or {}).items():
        section = plain["sections"][name]
        part = slice(section["offset"], section["offset"] + section["length"])
        values = data[part].view(layout.SECTIONS[name]).copy()
        change(values)
        data[part] = values.view(np.uint8)
        section["crc32c"] = crc32c(data[part])
    blocks = plain["sections"]["block"]
    start = blocks["offset"]
    sums = data[start : start + blocks["length"]]
    pieces = (data[at : min(at + layout.BLOCK, start)] for at in range(0, start, layout.BLOCK))
    sums.view("<u4")[:] = [crc32c(piece) for piece in pieces]
    blocks["crc32c"] = crc32c(sums)
    if footer is not None:
        footer(plain)
    text = msgspec.json.encode(plain)
    size = at + len(text) + 64
    tail = layout.trailer(path.stem, size=size, footer_at=at, footer=text, rows=plain["rows"])
    return np.frombuffer(bytes(data[:at]) + text + tail, np.uint8)


def set_at(index, value):
    def change(values):
        values[index] = np.array(value).astype(values.dtype)

    return change


@pytest.mark.parametrize(
    "table",
    [
        {"offset": set_at(1, np.uint64(HUGE))},
        {"offset": set_at(1, np.uint64(HUGE - 10))},
        {"offset": set_at(1, np.uint64(1 << 63))},
        {"offset": set_at(1, 0)},
        {"offset": set_at(0, 4095)},
        {"length": set_at(2, (1 << 32) - 1)},
        {"length": set_at(2, 0)},
        {"kind": set_at(0, 99)},
        {"kind": set_at(0, (1 << 32) - 1)},
    ],
)
def test_a_row_table_that_points_elsewhere_is_refused(chunk_path, table):
    chunk = Chunk(chunk_path, chunk_path.stem, forged(chunk_path, table=table))
    reads = [
        lambda: chunk.read(3),
        lambda: chunk.check_many(np.arange(3)),
        lambda: chunk.payload(0),
    ]
    for read in reads:
        with pytest.raises(FormatError, match=r"\.chunk: .*record"):
            read()


def sections(name, **changes):
    return lambda footer: footer["sections"][name].update(changes)


@pytest.mark.parametrize(
    "footer",
    [
        lambda f: f.update(kinds=[[0, 0, [1 << 61, 1 << 61]]] * 4),
        lambda f: f.update(kinds=[[0, 0, [(1 << 31), 1]]] * 4),
        lambda f: f.update(kinds=[[0, 0, [-1]]] * 4),
        lambda f: f.update(kinds=[[0, 0, [0] * 100]] * 4),
        lambda f: f.update(kinds=[[7, 0, [1]]] * 4),
        lambda f: f.update(kinds=[[0, 7, [1]]] * 4),
        lambda f: f.update(dtypes=["|O"]),
        lambda f: f.update(dtypes=["<f1"]),
        lambda f: f.update(dtypes=["<U999999999"]),
        lambda f: f.update(dtypes=[{"fields": [["a", -8, "<f8"]], "itemsize": 8}]),
        lambda f: f.update(dtypes=[{"fields": [["a", 8, "<f8"]], "itemsize": 8}]),
        lambda f: f.update(dtypes=[{"base": "<f8", "shape": [1 << 40]}]),
        lambda f: f.update(dtypes=[["<f8"]]),
        lambda f: f.update(rows=1 << 40),
        lambda f: f.update(rows=3),
        lambda f: f.update(rows=-1),
        lambda f: f.update(payload_end=1 << 50),
        lambda f: f.update(uniform=True),
        lambda f: f.update(sections={}),
        lambda f: f.pop("sections"),
        sections("crc", offset=1 << 60),
        sections("crc", offset=0),
        sections("crc", length=1 << 60),
        sections("crc", length=3),
        lambda f: f.update(slots=0),
        lambda f: f.update(slots=1 << 40),
        sections("block", offset=1 << 60),
        sections("block", offset=4096),
        sections("block", length=0),
        sections("block", length=8),
        lambda f: f["sections"].pop("block"),
    ],
)
def test_a_footer_that_lies_is_refused(chunk_path, footer):
    def change(plain):
        footer(plain)
        plain["rows"] = min(max(plain["rows"], 0), layout.MOST_ROWS) if "rows" in plain else 0

    with pytest.raises(FormatError):
        Chunk(chunk_path, chunk_path.stem, forged(chunk_path, footer=change))


@pytest.mark.parametrize(
    "table",
    [
        {"key_row": lambda values: values.fill(1 << 31)},
        {"key_end": lambda values: values.fill(HUGE)},
        {"key_end": lambda values: values[:2].fill(HUGE)},
        {"key_end": lambda values: values[::-1].sort()},
    ],
)
def test_a_key_table_that_lies_gives_no_record_or_an_error(chunk_path, table):
    chunk = Chunk(chunk_path, chunk_path.stem, forged(chunk_path, table=table))
    for key in (b"0", b"1", b"other"):
        try:
            assert chunk.find(key) in (None, 0, 1)
        except FormatError:
            continue


def test_a_payload_that_decodes_to_more_than_its_kind_is_refused(chunk_path):
    for name in ("zstd-3", "gzip-6", "blosc-lz4-shuffle-5"):
        bomb = np.frombuffer(codec(name).encode(np.zeros(1 << 24, "u1"), 1), np.uint8)
        with pytest.raises(FormatError):
            codec(name).decode_into(bomb, np.empty(100, "u1"))
        for broken in (bomb[:20], bomb[:-1], bomb[:0], np.zeros(64, "u1")):
            with pytest.raises(FormatError):
                codec(name).decode_into(broken, np.empty(1 << 24, "u1"))


def test_an_unknown_codec_is_named(chunk_path):
    def change(plain):
        plain["codecs"] = ["mp3"]

    chunk = Chunk(chunk_path, chunk_path.stem, forged(chunk_path, footer=change))
    with pytest.raises(FormatError, match="mp3"):
        chunk.read(0)


@pytest.mark.parametrize(
    "text", ["O", "|O8", "<f4,<f4", "(2,3)<f4", "float64", "<V-1", "", 3, None, [], {"fields": 1}]
)
def test_text_that_is_no_dtype_of_the_format_is_refused(text):
    with pytest.raises(FormatError, match="dtype"):
        read_dtype(text)


def test_no_kind_reaches_four_gibibytes():
    with pytest.raises(FormatError, match="4 GiB"):
        make_kind("<f8", [1 << 29])


@pytest.mark.parametrize(
    "change",
    [
        {"rows": 1 << 31},
        {"rows": 1 << 33},
        {"bytes": 1 << 61},
        {"rows": 5},
        {"dtype": "|O"},
        {"dtype": "<f8", "shape": [1 << 40]},
        {"id": "../../../../../../../../../../etc"},
        {"id": "../" * 10 + "et"},
        {"trailer": 0},
        {"index_bytes": 1},
        {"keys": 9},
    ],
)
def test_a_manifest_that_lies_is_refused(tmp_path, change):
    with PackWriter(tmp_path / "ds") as writer:
        for number in range(4):
            writer.append(np.full(8, number, "u2"), n=number)
    manifest = open_packed(tmp_path / "ds").manifest
    entry = msgspec.structs.replace(manifest.chunks[0], **change)
    lying = msgspec.structs.replace(manifest, chunks=[entry])
    (tmp_path / "ds/manifest/00000001.json").write_bytes(encode(lying))
    with pytest.raises(HaversackError):
        open_packed(tmp_path / "ds")[0].metadata  # noqa: B018


def lying(path, key_type=None, **changes):
    """Replace members of the manifest of a dataset of one version, and of its only chunk."""
    manifest = open_packed(path).manifest
    entry = msgspec.structs.replace(manifest.chunks[0], **changes)
    manifest = msgspec.structs.replace(manifest, chunks=[entry], key_type=key_type)
    (path / "manifest/00000001.json").write_bytes(encode(manifest))


@pytest.mark.parametrize("codec", ["none", "zstd"])
@pytest.mark.parametrize("size", [1 << 45, 1 << 53])
def test_a_chunk_larger_than_memory_is_refused_as_what_it_is(tmp_path, codec, size):
    with PackWriter(tmp_path / "ds", codec=codec) as writer:
        writer.append(np.zeros(8))
    lying(tmp_path / "ds", bytes=size)
    with pytest.raises(FormatError):
        open_packed(tmp_path / "ds")[0]


def test_keys_are_not_compared_with_a_chunk_larger_than_memory(tmp_path):
    late = PackWriter(tmp_path / "ds", codec="zstd")
    late.append(np.ones(8), key="b")
    with PackWriter(tmp_path / "ds", codec="zstd") as writer:
        writer.append(np.zeros(8), key="a")
    lying(tmp_path / "ds", key_type="text", bytes=1 << 53)
    with pytest.raises(FormatError, match="too large to map"):
        late.flush()


@pytest.mark.parametrize(("key", "key_type"), [("a", "int"), ("9" * 30, "int"), ("a", None)])
def test_keys_of_another_type_than_the_manifest_says_are_refused(tmp_path, key, key_type):
    with PackWriter(tmp_path / "ds") as writer:
        writer.append(np.zeros(8), key=key)
    lying(tmp_path / "ds", key_type=key_type)
    for use in (lambda ds: ds.keys(), lambda ds: ds[0].key, lambda ds: ds.metadata()):
        with pytest.raises(FormatError, match="key"):
            use(open_packed(tmp_path / "ds"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without FIFOs")
@pytest.mark.parametrize("folder", ["chunks", "index", "journal"])
def test_a_fifo_is_refused_and_not_waited_for(tmp_path, folder):
    root = tmp_path / "copy"
    with PackWriter(tmp_path / "ds") as writer:
        writer.append(np.zeros((2, 8), "u2"), key=1)
    with PackWriter(tmp_path / "ds") as writer:
        writer.append(np.ones((2, 8), "u2"), key=2)
        writer.flush()
        shutil.copytree(tmp_path / "ds", root)
    (path,) = (root / folder).iterdir()
    path.unlink()
    os.mkfifo(path)
    program = """if True:
        import sys
        from haversack.cli.main import run

        for verb in ("verify", "read", "repair"):
            print("ends with", run([verb, sys.argv[1]]))
    """
    told = run_python(program, root, cwd=tmp_path, timeout=30)
    assert re.findall("ends with (.)", told) == ["7", "7", "7"]
