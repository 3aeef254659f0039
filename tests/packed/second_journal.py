"""A second reader of journals, from docs/spec/packed-v1.md alone: what they add and take away."""

import json
import struct
from typing import Any

import google_crc32c
import numpy as np


def frames(data, identity):
    """Yield (frame id, operations, payload) of each whole frame, past bytes that are none."""
    at = 64
    while (at := data.find(b"HSKFRAME", at)) >= 0:
        head = data[at : at + 60]
        if len(data) < at + 64:
            return
        _, frame, _, _, text, payload, crc = struct.unpack("<8s16sQIIII12x", head)
        body = data[at + 64 : at + 64 + text + payload]
        crcs = google_crc32c.value(identity + head), google_crc32c.value(body)
        whole = len(body) == text + payload and crcs == (
            *struct.unpack("<I", data[at + 60 :][:4]),
            crc,
        )
        if whole:
            yield frame, json.loads(body[:text]), body[text:]
        at += 64 + text + payload if whole else 1


def read(path, journal):
    """Give the live records as (key, array, metadata), and the rows of the chunks that are gone."""
    data = (path / "journal" / f"{journal}.journal").read_bytes()
    assert (data[:8], data[16:32].hex()) == (b"HSKJOURN", journal)
    held: dict[Any, tuple[str, Any]] = {}
    rows, seen = [], set()
    for frame, operations, payload in frames(data, bytes.fromhex(journal)):
        trial, added, at, void = dict(held), list(rows), 0, frame in seen
        seen.add(frame)
        for step in operations:
            op, key = step["op"], step.get("key")
            if op == "end":
                break
            place = trial.get(key, ("chunks", step.get("at"))) if key is not None else ("", None)
            exists = place[1] is not None
            number: Any = place[1]
            void = void or (op == "add" and exists) or (op == "delete" and not exists)
            if exists and place[0] == "chunks":
                trial["gone", number] = ("chunks", None)
            elif exists:
                added[number] = None
            if key is not None:
                trial[key] = ("journal", len(added) if op != "delete" else None)
            if op != "delete":
                size = step.get("length", 0)
                data, at = payload[at : at + size], at + size
                shape = step.get("shape", [])
                array = np.frombuffer(data, step["dtype"]).reshape(shape)
                added.append((key, array, step.get("meta", {})))
        if operations[-1:] and operations[-1]["op"] == "end":
            break
        if not void:
            held, rows = trial, added
    gone = {key[1] for key in held if isinstance(key, tuple)}
    return [row for row in rows if row is not None], gone
