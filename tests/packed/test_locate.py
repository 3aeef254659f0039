"""A locator agrees with a search, whatever the ranges."""

from itertools import accumulate

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from haversack.packed.reading.locate import Locator

LENGTHS = st.one_of(
    st.lists(st.integers(1, 5), min_size=1, max_size=50),
    st.lists(st.sampled_from([1, 2, 100_000]), min_size=1, max_size=20),
    st.builds(
        lambda length, count, last: [length] * count + [last],
        st.integers(1, 1000),
        st.integers(0, 30),
        st.integers(1, 3000),
    ),
    st.lists(st.sampled_from([0, 0, 7]), min_size=1, max_size=9).filter(any),
)


@given(LENGTHS, st.randoms(use_true_random=False))
def test_positions_are_found_in_the_range_that_holds_them(lengths, random):
    starts = [0, *accumulate(lengths)]
    edges = [edge for start in starts for edge in (start - 1, start, start + 1)]
    positions = [at for at in edges if 0 <= at < starts[-1]]
    positions += [random.randrange(starts[-1]) for _ in range(20)]
    given = np.array(positions, np.int64)
    expected = np.searchsorted(np.array(starts[1:]), given, side="right")
    assert Locator(starts).numbers(given).tolist() == expected.tolist()
