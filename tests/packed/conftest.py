"""Arrays of every kind that can be packed, and a small dataset that holds some of everything."""

from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from haversack.packed import PackWriter

SCALARS = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    hnp.complex_number_dtypes(endianness="?", sizes=(64, 128)),
    hnp.datetime64_dtypes(endianness="?"),
    hnp.timedelta64_dtypes(endianness="?"),
    hnp.byte_string_dtypes(min_len=1, max_len=5),
    hnp.unicode_string_dtypes(endianness="?", min_len=1, max_len=5),
)
DTYPES = SCALARS | hnp.array_dtypes(SCALARS, max_size=3, allow_subarrays=True)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)


@st.composite
def arrays(draw):
    dtype, shape = np.dtype(draw(DTYPES)), draw(SHAPES)
    count = int(np.prod(shape, dtype=int)) * dtype.itemsize
    seed = draw(st.integers(0, 2**32 - 1))
    raw = np.random.default_rng(seed).integers(0, 256, count, "u1")
    if dtype.kind == "b" or dtype.names or dtype.kind == "U":
        return np.zeros(shape, dtype)  # not every byte pattern is a value
    array = np.frombuffer(raw.tobytes(), dtype).reshape(shape) if count else np.zeros(shape, dtype)
    return array.copy(order=draw(st.sampled_from("CF")))


def same(left, right):
    """Whether two arrays agree in dtype, shape and every byte."""
    return (
        left.dtype == right.dtype
        and left.shape == right.shape
        and np.ascontiguousarray(left).tobytes() == np.ascontiguousarray(right).tobytes()
    )


METADATA = {
    "label": "007",
    "cloud": 12.5,
    "day": date(2020, 1, 2),
    "at": datetime(2020, 1, 2, 3, 4, 5, 6, UTC),
    "box": (1, 2.0, None),
    "deep": {"a": [b"\x00", float("inf")], 3: 1 << 80},
}


def small_records():
    """A dozen records of several kinds: (key, array, metadata)."""
    records = []
    for number in range(12):
        shape = [(3, 4), (), (0, 2), (7,)][number % 4]
        array = np.full(shape, number, [">u2", "f4", "i8"][number % 3])
        records.append((f"key {number}", array, {**METADATA, "n": number}))
    return records


@pytest.fixture
def small(tmp_path):
    """The path of a closed dataset of small_records()."""
    path = tmp_path / "small"
    with PackWriter(path) as writer:
        for key, array, metadata in small_records():
            writer.append(array, metadata, key=key)
    return path
