"""Files are mapped side by side, and what will be needed is asked for in whole pages, once."""

import mmap
import os
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from haversack.storage import maps

needs_map = pytest.mark.skipif(not maps.ADJACENT, reason="no mmap call here")


@needs_map
def test_files_of_one_range_read_as_one_array(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, 3 * maps.PAGE, "u1")
    place = maps.Reservation(4 * maps.PAGE)
    for number, size in enumerate((maps.PAGE, maps.PAGE + 5)):
        path = tmp_path / str(number)
        path.write_bytes(noise[number * maps.PAGE :][:size].tobytes())
        descriptor = os.open(path, os.O_RDONLY)
        place.place(descriptor, number * maps.PAGE, size)
        os.close(descriptor)
    assert place.bytes.ctypes.data % maps.HUGE_PAGE == 0
    assert np.array_equal(place.bytes[: 2 * maps.PAGE + 5], noise[: 2 * maps.PAGE + 5])
    with pytest.raises(ValueError, match="cannot place"):
        place.place(0, 4 * maps.PAGE, 1)


@needs_map
@given(st.lists(st.tuples(st.integers(0, 90_000), st.integers(1, 9_000)), max_size=20))
def test_pages_are_asked_for_once_and_all_of_them(spans):
    array = np.zeros(100_000, "u1")
    asked: list[tuple[int, int]] = []
    fake = SimpleNamespace(madvise=lambda address, size, _: asked.append((address, size)))
    starts, sizes = np.array(spans, np.int64).reshape(-1, 2).T
    stops = starts + sizes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maps, "_LIBC", fake)
        maps.will_need(array, starts, stops)
    page, base = mmap.PAGESIZE, array.ctypes.data
    pages = [at for address, size in asked for at in range(address, address + size, page)]
    wanted = {
        at
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)
        for at in range((base + start) // page * page, base + stop, page)
    }
    assert len(pages) == len(set(pages))
    one = len(wanted) * page == max(wanted, default=0) - min(wanted, default=page) + page
    assert set(pages) == (set() if one else wanted)
    assert all(address % page == 0 for address, _ in asked)


def test_asking_for_pages_changes_nothing(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(300_000))
    place = maps.Reservation(300_000)
    descriptor = os.open(path, os.O_RDONLY)
    place.place(descriptor, 0, 300_000)
    os.close(descriptor)
    maps.will_need(place.bytes, np.array([200_000, 5]), np.array([300_000, 70_000]))
    maps.will_need(place.bytes, np.array([], np.int64), np.array([], np.int64))
    assert place.bytes[:300_000].tobytes() == path.read_bytes()
