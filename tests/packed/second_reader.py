"""A reader of packed datasets written from docs/spec/packed-v1.md alone."""

import json
import struct
from hashlib import blake2b

import google_crc32c
import imagecodecs
import numpy as np
import pyarrow.parquet as pq


def checked(data, crc):
    assert google_crc32c.value(bytes(data)) == crc
    return data


def dtype_of(text):
    if isinstance(text, str):
        return np.dtype(text)
    if "base" in text:
        return np.dtype((dtype_of(text["base"]), tuple(text["shape"])))
    names, offsets, formats = zip(*(field[:3] for field in text["fields"]), strict=True)
    fields = {"names": names, "offsets": offsets, "formats": list(map(dtype_of, formats))}
    return np.dtype(dict(fields, itemsize=text["itemsize"]))  # type: ignore[call-overload]


class Chunk:
    def __init__(self, root, entry):
        data = (root / "chunks" / f"{entry['id']}.chunk").read_bytes()
        tail = struct.unpack("<8sQ16sQ5I", checked(data[-64:-4], entry["trailer"]))
        name, at, length, crc, self.rows, version = tail[2:8]
        assert (*tail[:2], name.hex(), version) == (b"HSKTRAIL", len(data), entry["id"], 1)
        self.data, self.footer = data, json.loads(checked(data[at : at + length], crc))

    def section(self, name, dtype):
        at, length, crc = (self.footer["sections"][name][x] for x in ("offset", "length", "crc32c"))
        return np.frombuffer(checked(self.data[at : at + length], crc), dtype)

    def record(self, row):
        kind = 0 if self.footer["uniform"] else self.section("kind", "<u4")[row]
        dtype, codec, shape = self.footer["kinds"][kind]
        dtype, codec = dtype_of(self.footer["dtypes"][dtype]), self.footer["codecs"][codec]
        slot = self.section("slot", "<u4")[row] if "slot" in self.footer["sections"] else row
        start = 4096 + int(slot) * (length := dtype.itemsize * int(np.prod(shape, dtype=int)))
        if not self.footer["uniform"]:
            start, length = self.section("offset", "<u8")[row], self.section("length", "<u4")[row]
        payload = checked(self.data[int(start) :][: int(length)], self.section("crc", "<u4")[slot])
        if len(payload) and codec != "none":
            decode = getattr(imagecodecs, f"{codec.split('-')[0]}_decode")
            payload = decode(payload, **({"index": None} if codec == "tiff" else {}))
        return np.ndarray(shape, dtype, payload if len(payload) else np.zeros(1))

    def find(self, key):
        digest = blake2b(key := str(key).encode(), digest_size=8).digest()
        ends, texts = self.section("key_end", "<u8"), self.section("key_text", "u1").tobytes()
        same = self.section("key_hash", "<u8") == np.frombuffer(digest, "<u8")
        rows = self.section("key_row", "<u4")[same].tolist()
        return next((n for n in rows if texts[ends[n - 1] if n else 0 : ends[n]] == key), None)


def deleted(path, number, crc32c, rows):
    data = checked(path.with_suffix(f".{number}.del").read_bytes(), crc32c)
    return np.frombuffer(data, "<u4", rows, 32)


def read(path):
    data = max((path / "manifest").glob("[0-9]*.json")).read_bytes()
    checked(data[21:], int(data[11:19], 16))
    arrays, metadata, finders = [], [], []
    for entry in json.loads(data)["chunks"]:
        chunk, index = Chunk(path, entry), path / "index" / f"{entry['id']}.parquet"
        texts = pq.read_table(index)["_meta"].to_pylist()
        gone = deleted(index, **entry["deleted"]) if "deleted" in entry else ()
        live = [row for row in range(chunk.rows) if row not in gone]
        arrays.extend(map(chunk.record, live))
        metadata.extend(json.loads(texts[row]) for row in live)
        finders += [chunk.find] if "key_hash" in chunk.footer["sections"] else []
    return arrays, metadata, finders
