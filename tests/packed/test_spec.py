"""docs/spec/packed-v1.md tells the truth: a reader written from it alone reads what we write."""

import inspect
import json
import tempfile
from pathlib import Path

import duckdb
import google_crc32c
import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haversack.packed import PackWriter, open_packed, pack
from haversack.packed.chunks import layout

from . import second_reader
from .conftest import arrays, same, small_records
from .pictures import JPEG, LOSSLESS
from .test_roundtrip import CODECS

SPEC = Path(__file__).parents[2] / "docs" / "spec" / "packed-v1.md"


def untitled(array):
    """Whether no field has a title, of which the second reader knows nothing."""
    return all(len(field) == 2 for field in (array.dtype.fields or {}).values())


@settings(max_examples=25)
@given(
    st.lists(arrays().filter(untitled), max_size=6), st.sampled_from(CODECS), st.integers(1, 500)
)
def test_the_second_reader_reads_every_array(records, codec, chunk_bytes):
    with tempfile.TemporaryDirectory() as folder:
        with PackWriter(f"{folder}/ds", codec=codec, chunk_bytes=chunk_bytes) as writer:
            for number, record in enumerate(records):
                writer.append(record, key=number, n=number)
        found, metadata, _ = second_reader.read(Path(folder, "ds"))
        assert len(found) == len(records)
        assert all(map(same, found, records))
        assert metadata == [{"n": number} for number in range(len(records))]


@pytest.mark.parametrize("name", LOSSLESS)
def test_the_second_reader_decodes_images(tmp_path, name):
    file, array = LOSSLESS[name]
    pack([file, np.arange(3), JPEG], tmp_path / "ds", codec="zstd")
    image, numbers, photo = second_reader.read(tmp_path / "ds")[0]
    assert same(image, array)
    assert same(numbers, np.arange(3))
    assert photo.shape == (40, 50, 3)


def test_the_second_reader_finds_keys_and_metadata(small):
    found, metadata, (find,) = second_reader.read(small)
    for number, (key, array, _) in enumerate(small_records()):
        assert find(key) == number
        assert same(found[number], array)
        assert metadata[number]["n"] == number
        assert metadata[number]["day"] == {"~": "date", "v": "2020-01-02"}
    assert find("no such key") is None


def test_blocks_cover_all_of_a_chunk_before_them(small):
    (entry,) = open_packed(small).manifest.chunks
    chunk = second_reader.Chunk(small, msgspec.to_builtins(entry))
    where = chunk.footer["sections"]["block"]
    assert where["offset"] == max(s["offset"] for s in chunk.footer["sections"].values())
    covered = chunk.data[: where["offset"]]
    blocks = [covered[at : at + 16384] for at in range(0, len(covered), 16384)]
    assert chunk.section("block", "<u4").tolist() == list(map(google_crc32c.value, blocks))


def test_the_second_reader_is_short_and_independent():
    source = inspect.getsource(second_reader)
    assert len(source.splitlines()) < 80
    assert "import haversack" not in source
    assert "from haversack" not in source


def test_duckdb_and_pandas_alone_read_keys_and_columns(small):
    query = f"SELECT _key FROM ({open_packed(small).sql_source()}) WHERE n < 3 ORDER BY n"
    assert duckdb.execute(query).fetchall() == [("key 0",), ("key 1",), ("key 2",)]
    (path,) = (small / "index").iterdir()
    frame = pd.read_parquet(path)
    assert frame["n"].tolist() == list(range(12))
    assert [json.loads(text)["label"] for text in frame["_meta"]] == ["007"] * 12


@pytest.mark.parametrize("name", [*layout.SECTIONS, "HSKCHUNK", "HSKTRAIL", "key_type"])
def test_the_specification_names_what_the_code_writes(name):
    assert name in SPEC.read_text()


def test_the_second_reader_leaves_deleted_records_out(small):
    with PackWriter(small) as writer:
        writer.delete("key 3")
        writer.delete("key 5")
        writer.append([7], key="key 5", n=99)
    found, metadata, _ = second_reader.read(small)
    ds = open_packed(small)
    assert [record["n"] for record in metadata] == [0, 1, 2, 4, *range(6, 12), 99]
    assert all(map(same, found, [record.data for record in ds]))
    query = f"SELECT _key FROM ({ds.sql_source()}) ORDER BY n"
    assert [key for (key,) in duckdb.execute(query).fetchall()] == ds.keys()
