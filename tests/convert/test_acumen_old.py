"""Old directories of AcumenIndexer: read in place, imported, exported."""

import pickle
import re

import numpy as np
import pandas as pd
import pytest

import haversack
from haversack import PackWriter, load_index, read_from_index
from haversack.convert import export_acumen, import_acumen
from haversack.errors import (
    ExistsError,
    FormatError,
    PathNotFoundError,
    UnsupportedError,
    UsageError,
)

METADATA = [
    {"label": "007", "cloud": 5, "share": 0.1, "seen": True, "note": "a,\n'b'"},
    {"label": "12", "cloud": 70, "share": 2.0, "seen": False, "note": None},
    {"label": "1", "cloud": -3, "share": None, "seen": True, "note": "x"},
]


def _write_old(root, records, metadata, per_chunk=2):
    """Write a directory as the old package does."""
    (root / "chunks").mkdir(parents=True)
    rows = []
    for number, record in enumerate(records):
        name = f"chunks/chunk_{number // per_chunk}.chnk"
        with (root / name).open("ab") as file:
            rows.append([name, file.tell(), record.nbytes, record.shape])
            file.write(record.tobytes())
    columns = ["ai:chunk_name", "ai:offset_bytes", "ai:size_bytes", "ai:shape"]
    index = pd.concat([pd.DataFrame(rows, columns=columns), pd.DataFrame(metadata)], axis=1)
    index.to_csv(root / "index.csv", index=False)


@pytest.fixture
def records():
    numbers = np.random.default_rng(3).normal(size=(3, 4, 5, 3)).astype(np.float16)
    return [numbers[0], numbers[1, :2], np.float16(7).reshape(())]


@pytest.fixture
def old(tmp_path, records):
    _write_old(tmp_path / "old", records, METADATA)
    return tmp_path / "old"


def _edit(old, column, row, value):
    index = pd.read_csv(old / "index.csv", dtype=str, keep_default_na=False)
    index.loc[row, column] = value
    index.to_csv(old / "index.csv", index=False)


def _assert_reads(read, records):
    for number, expected in enumerate(records):
        data, metadata = read(number)
        assert data.dtype == expected.dtype
        assert not data.flags.writeable
        np.testing.assert_array_equal(data, expected)
        told = {k: None if v != v else v for k, v in metadata.items()}
        assert told == METADATA[number]


@pytest.mark.parametrize("in_memory", [False, True])
def test_an_old_directory_reads_in_place(old, records, in_memory, monkeypatch):
    before = {path: path.read_bytes() for path in old.rglob("*") if path.is_file()}
    for place in (old, old / "index.csv"):
        read = read_from_index(load_index(place, in_memory=in_memory))
        _assert_reads(read, records)
        _assert_reads(pickle.loads(pickle.dumps(read)), records)
    index = load_index(old, dtype=np.float16)
    _assert_reads(read_from_index(index, chunk_paths=old / "chunks"), records)
    assert read_from_index(index.iloc[::-1])(0)[1]["cloud"] == -3
    monkeypatch.chdir(old)
    assert read_from_index(pd.read_csv("index.csv"))(1)[1]["cloud"] == 70
    assert {path: path.read_bytes() for path in before} == before


def test_values_of_unlike_width_are_not_guessed_at(old):
    with pytest.raises(FormatError, match="give the dtype"):
        read_from_index(load_index(old), dtype="float32")
    with pytest.raises(UsageError, match="gzip"):
        read_from_index(load_index(old, use_gzip=True))


@pytest.mark.parametrize("name", ["../x.chnk", "/etc/passwd", "chunks/../../chunk_0.chnk", ""])
def test_no_index_reaches_out_of_its_directory(old, name):
    _edit(old, "ai:chunk_name", 1, name)
    with pytest.raises(FormatError, match="chunk"):
        read_from_index(load_index(old))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("ai:offset_bytes", "-2"),
        ("ai:offset_bytes", "9" * 30),
        ("ai:offset_bytes", str((1 << 63) - 1)),
        ("ai:offset_bytes", "1.5"),
        ("ai:size_bytes", "-120"),
        ("ai:size_bytes", "4"),
        ("ai:shape", "(4, -5, 3)"),
        ("ai:shape", "(4, 5, 9999999999)"),
        ("ai:shape", "(" + "1, " * 70 + ")"),
        ("ai:shape", "__import__('os').abort()"),
        ("ai:shape", "(" * 1000),
        ("ai:shape", ""),
    ],
)
def test_impossible_places_and_shapes_are_refused(old, column, value):
    _edit(old, column, 0, value)
    with pytest.raises(FormatError):
        read_from_index(load_index(old))


def test_an_offset_beyond_the_end_and_a_truncated_chunk_are_named(old, records, tmp_path):
    chunk = old / "chunks" / "chunk_0.chnk"
    chunk.write_bytes(chunk.read_bytes()[:-1])
    read = read_from_index(load_index(old))
    np.testing.assert_array_equal(read(0)[0], records[0])
    for base in (old, old / "chunks"):
        with pytest.raises(FormatError, match=rf"^{re.escape(str(chunk))} .*cut short"):
            read_from_index(load_index(old), chunk_paths=base)(1)
    with pytest.raises(FormatError, match=r"item 1 .*cut short"):
        import_acumen(old, tmp_path / "new", dtype="float16")
    assert not (tmp_path / "new").exists()
    chunk.unlink()
    with pytest.raises(PathNotFoundError, match="chunk_0"):
        read_from_index(load_index(old))(0)


def test_a_table_that_is_no_index_is_refused(old):
    for text in (b"a,b\n1,2\n", b"", b"\xff\xfe\x00", b'ai:chunk_name\n"unclosed'):
        (old / "index.csv").write_bytes(text)
        with pytest.raises(FormatError, match=r"index\.csv"):
            load_index(old)


def test_an_import_is_the_old_directory_packed(old, records, tmp_path):
    with pytest.raises(UsageError, match="dtype"):
        import_acumen(old, tmp_path / "new", dtype=None)
    with import_acumen(old, tmp_path / "new", dtype="float16", codec="zstd") as packed:
        assert packed.verify() == []
        for record, expected in zip(packed, records, strict=True):
            np.testing.assert_array_equal(record.data, expected)
        assert packed.filter("cloud > 0 AND label = '007'").metadata()["seen"].tolist() == [True]
    with pytest.raises(ExistsError):
        import_acumen(old, tmp_path / "new", dtype="float16")


def test_an_export_comes_back_with_its_keys(tmp_path, records):
    with PackWriter(tmp_path / "packed") as writer:
        for number, record in enumerate(records):
            writer.append(record, METADATA[number], key=f"r{number}")
    told = export_acumen(tmp_path / "packed", tmp_path / "old", chunk_size_bytes=200)
    assert told["records"] == 3
    assert (told["chunks"], told["dtype"]) == (
        1 + (sum(r.nbytes for r in records) > 200),
        "float16",
    )
    assert sorted(path.name for path in (tmp_path / "old").iterdir()) == ["chunks", "index.csv"]
    with import_acumen(tmp_path / "old", tmp_path / "back", dtype=told["dtype"]) as back:
        assert back.keys() == ["r0", "r1", "r2"]
        for number, expected in enumerate(records):
            np.testing.assert_array_equal(back.record(f"r{number}").data, expected)
        assert back[0].metadata == METADATA[0]


def test_an_export_that_cannot_be_right_leaves_nothing(tmp_path):
    with PackWriter(tmp_path / "packed") as writer:
        writer.append(np.array([70_000]), n=1)
        writer.append(np.array([0.5]), n=2)
    with haversack.open(tmp_path / "packed") as packed:
        with pytest.raises(UsageError, match="record 1 is float64"):
            export_acumen(packed, tmp_path / "old")
        with pytest.raises(UsageError, match="record 0"):
            export_acumen(packed, tmp_path / "old", dtype="float16")
        assert export_acumen(packed, tmp_path / "old", dtype="float64")["dtype"] == "float64"
        with pytest.raises(ExistsError):
            export_acumen(packed, tmp_path / "old", dtype="float64")
    with PackWriter(tmp_path / "named") as writer:
        writer.append(np.zeros(1), {"ai:shape": 3})
    with pytest.raises(UnsupportedError, match="ai:shape"):
        export_acumen(tmp_path / "named", tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["named", "old", "packed"]
