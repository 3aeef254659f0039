"""A file of blocks holds what was written, however it was cut, and the checksum of each block."""

import tempfile
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haversack.packed.chunks.blockfile import BlockFile
from haversack.packed.chunks.blocks import Blocks
from haversack.packed.chunks.layout import BLOCK
from haversack.storage.calls import calls

MIB = 1 << 20
SIZES = st.one_of(
    st.integers(0, 100),
    st.sampled_from([BLOCK - 1, BLOCK, BLOCK + 1, 2 * MIB - 1, 2 * MIB, 2 * MIB + 1, 5 * MIB]),
)
NOISE = np.random.default_rng(0).integers(0, 256, 6 * MIB, "u1")


@settings(max_examples=25)
@given(st.lists(SIZES, max_size=8))
def test_any_pieces_make_the_same_file(sizes):
    pieces = [NOISE[size % 91 :][:size] for size in sizes]
    whole = b"".join(piece.tobytes() for piece in pieces)
    with tempfile.TemporaryDirectory() as folder:
        file = BlockFile(Path(folder, "file"))
        for piece in pieces:
            file.write(piece)
        assert file.position == len(whole)
        sums = file.sums()
        file.end(b"the end")
        assert Path(folder, "file").read_bytes() == whole + b"the end"
    blocks = [whole[at : at + BLOCK] for at in range(0, len(whole), BLOCK)]
    assert sums.tolist() == list(map(google_crc32c.value, blocks))


@pytest.mark.parametrize("known", [True, False])
def test_the_disk_begins_before_the_end(tmp_path, monkeypatch, known):
    begun = []
    write_back = (lambda _, offset, size: begun.append((offset, size))) if known else None
    monkeypatch.setattr(calls, "write_back", write_back)
    file = BlockFile(tmp_path / "file")
    whole = bytes(5 << 20)
    for start in range(0, len(whole), 300_000):
        file.write(whole[start : start + 300_000])
    assert begun == ([(0, 2 << 20), (2 << 20, 2 << 20)] if known else [])
    file.sums()
    file.end(b"")
    assert (tmp_path / "file").read_bytes() == whole


@pytest.mark.parametrize("bad", [[], [2], [0, 7]])
def test_blocks_are_told_apart(bad):
    raw = NOISE[: 7 * BLOCK + 100].copy()
    sums = np.array([google_crc32c.value(raw[at : at + BLOCK]) for at in range(0, len(raw), BLOCK)])
    for number in bad:
        raw[number * BLOCK + 5] ^= 1
    starts = np.arange(0, len(raw), 37)
    stops = np.minimum(starts + (starts % 3) * BLOCK, len(raw))
    first, last = starts // BLOCK, np.maximum(stops - 1, starts) // BLOCK
    touches = np.array([any(a <= n <= b for n in bad) for a, b in zip(first, last, strict=True)])
    blocks = Blocks(raw, sums, len(raw))
    for start, stop, touched in zip(starts.tolist(), stops.tolist(), touches.tolist(), strict=True):
        assert blocks.good(start, stop) is not (touched and stop > start)
    again = Blocks(raw, sums, len(raw))
    assert again.all_good(starts[~touches], stops[~touches])
    assert again.all_good(starts, stops) is not bool(bad)
    assert again.bad().tolist() == bad
    assert again.in_bad(starts, stops).tolist() == touches.tolist()
    assert again.whole is not bool(bad)
