"""Reductions gather in the type that numpy gathers in, up to the limits of the types."""

import warnings
from functools import partial
from itertools import count, cycle, product
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haversack.errors import UnsupportedError, UsageError
from haversack.split import save_to_split_dataset

SHAPE, BLOCK = (5, 2, 4), (2, None, 3)
INTEGERS = ["?", "i1", "u1", "i2", "i4", "u4", "i8", "u8"]
FLOATS = ["f2", "f4", "f8", "c8", "c16"]
ASKED = [None, *INTEGERS, *FLOATS]
AXES = [None, 0, -1, (0, 2), (1,), ()]
numbers = count()


def near_the_limits(dtype, rng):
    """Fill an array with the least and the largest values of its type, and some between."""
    if dtype.kind == "b":
        return rng.integers(0, 2, SHAPE).astype(dtype)
    if dtype.kind in "iu":
        kind = np.iinfo(dtype)
        ends = [kind.min, kind.min + 1, 0, 1, 7, kind.max // 2, kind.max - 1, kind.max]
        return np.array(ends, dtype)[rng.integers(0, len(ends), SHAPE)]
    # Of one sign, or small: where sums of both overflow on the way depends on the order.
    most = float(np.finfo(dtype).max)
    large = [0, 1, 0.5, most / 100, most / 2, most]
    small = [0, 1, -1, 0.5, -300, 1000, np.inf, -np.inf, np.nan]
    pool = (large, small, small[:6])[rng.integers(3)]
    array = np.array(pool, dtype)[rng.integers(0, len(pool), SHAPE)]
    return -array if rng.integers(2) else array


def is_defined(kind, asked):
    """Whether all such elements become something in the type that is asked for."""
    if asked is None or kind in INTEGERS:
        return True
    return asked in FLOATS and (kind[0] == "f" or asked[0] == "c")


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
@pytest.mark.parametrize("kind", INTEGERS + FLOATS)
def test_sums_and_means_overflow_where_numpys_do(tmp_path, kind, data):
    array = near_the_limits(np.dtype(kind), np.random.default_rng(data.draw(st.integers(0, 999))))
    asked = data.draw(st.sampled_from([each for each in ASKED if is_defined(kind, each)]))
    if asked == "f2" and kind in INTEGERS:
        array = np.maximum(array, 0)  # else the order decides which infinity is met first
    split = save_to_split_dataset(array, tmp_path / str(next(numbers)), BLOCK)
    with np.errstate(all="ignore"):
        scale = float(np.abs(array.astype("c16" if kind[0] == "c" else "f8")).sum())
        for name, axis, keepdims in product(("sum", "mean"), AXES, (False, True)):
            expected = getattr(array, name)(axis, asked, keepdims=keepdims)
            found = getattr(split, name)(axis, asked, keepdims=keepdims)
            assert (found.dtype, np.shape(found)) == (expected.dtype, expected.shape)
            are_close(found, expected, scale)


def are_close(found, expected, scale):
    if found.dtype.kind not in "fc":
        np.testing.assert_array_equal(found, expected)
        return
    step = float(np.finfo(found.dtype).eps) * 8
    within = step * scale if np.isfinite(scale) else 0
    np.testing.assert_allclose(found, expected, rtol=step, atol=within)


def test_a_dtype_is_the_one_that_is_gathered_in(tmp_path):
    half = np.full((9, 2), 60000, "f2")
    large = np.full((9, 2), 1 << 62)
    unsigned = np.full((9, 2), 1 << 63, "u8")
    for number, array in enumerate((half, large, unsigned)):
        split = save_to_split_dataset(array, tmp_path / str(number), (2, None))
        assert split.sum(dtype="f8") == array.sum(dtype="f8") == float(array[0, 0]) * 18
        assert split.mean(dtype="f8") == float(array[0, 0])
    single = (np.random.default_rng(1).random((50, 2000)) + 1e6).astype("f4")
    split = save_to_split_dataset(single, tmp_path / "single", (7, None))
    np.testing.assert_allclose(split.mean(dtype="f8"), single.astype("f8").mean(), rtol=1e-14)
    np.testing.assert_allclose(split.var(dtype="f8"), single.var(dtype="f8"), rtol=1e-9)


@pytest.mark.parametrize("kind", ["u1", "f2", "f4", "f8", "c8"])
@pytest.mark.parametrize("asked", [None, "f4", "f8", "c16"])
def test_variances_have_the_dtype_that_is_asked_for(tmp_path, kind, asked):
    if (kind, asked) == ("c8", "f4"):
        return  # numpy drops the imaginary part of the mean
    array = np.random.default_rng(3).integers(0, 9, SHAPE).astype(kind)
    split = save_to_split_dataset(array, tmp_path / "a", BLOCK)
    for name in ("var", "std"):
        if (kind, asked) == ("c8", "f8"):
            continue
        expected = getattr(array, name)((0, 2), asked)
        found = getattr(split, name)((0, 2), asked)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-2 if kind == "f2" else 1e-5)


def test_variances_do_not_overflow_on_the_way(tmp_path):
    half = np.tile(np.array([1000, 1100], "f2"), (400, 5))
    split = save_to_split_dataset(half, tmp_path / "half", (30, None))
    assert (split.var(), split.std()) == (2500, 50)
    huge = np.full((6, 2), 1e200)
    assert save_to_split_dataset(huge, tmp_path / "huge", (2, None)).var() == 0


def test_what_no_sum_is_made_in_is_refused(tmp_path):
    split = save_to_split_dataset(np.arange(6), tmp_path / "a")
    for wrong in (object, "U3", "m8[s]"):
        with pytest.raises(UnsupportedError, match="dtype"):
            split.sum(dtype=wrong)
    with pytest.raises(UnsupportedError, match="floats"):
        split.var(dtype="i4")


@pytest.mark.parametrize(
    "axis", [np.int64(1), np.uint8(2), np.array(0), (np.int32(0), np.int8(-1))]
)
def test_whatever_is_an_index_is_an_axis(tmp_path, axis):
    array = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    split = save_to_split_dataset(array, tmp_path / "a", BLOCK)
    for name in ("max", "sum", "std"):
        np.testing.assert_allclose(getattr(split, name)(axis), getattr(array, name)(axis))


def test_what_numpy_refuses_is_refused_before_anything_is_read(tmp_path, monkeypatch):
    array = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    split = save_to_split_dataset(array, tmp_path / "a", BLOCK)
    fixed = np.empty(SHAPE[1:])
    fixed.flags.writeable = False
    wrong: list[Any] = [
        *(np.empty(shape) for shape in [(5, 2, 4), (1, 2, 4), (4,), (), (2, 1), (4, 2)]),
        fixed,
        [1.0],
    ]

    def reads(*_):
        raise AssertionError("it reads")

    monkeypatch.setattr(type(split), "_read", reads)
    for out in wrong:
        for name in ("sum", "mean", "max", "var"):
            with pytest.raises((ValueError, TypeError)) as theirs:
                getattr(array, name)(0, out=out)
            with pytest.raises(type(theirs.value)):
                getattr(split, name)(0, out=out)
    with pytest.raises(UsageError, match="shape"):
        split.max(0, out=np.empty((1, 2, 4)))
    with pytest.raises(UnsupportedError):
        split.std(0, out=np.empty((2, 4), int))
    axes: list[Any] = [1.5, "0", (0, None)]
    for axis in axes:
        with pytest.raises(TypeError):
            split.max(axis)
    others: list[dict[str, Any]] = [{"where": array > 3}, {"initial": 7}]
    for each in others:
        whole: Any = split
        with pytest.raises(TypeError, match="keyword"):
            whole.sum(**each)
        with pytest.raises(TypeError, match="keyword"):
            np.max(whole, **{"initial": 7, **each})


@pytest.mark.parametrize("kind", ["u1", "i4", "f4", "f8"])
@pytest.mark.parametrize("into", ["i2", "i8", "f4", "f8", "c16", ">f4"])
def test_an_out_is_filled_as_numpy_fills_it(tmp_path, kind, into):
    array = np.random.default_rng(0).integers(0, 100, SHAPE).astype(kind)
    split = save_to_split_dataset(array, tmp_path / "a", BLOCK)
    for name in ("sum", "max", "min"):
        for keepdims in (False, True):
            expected = np.empty((1, *SHAPE[1:]) if keepdims else SHAPE[1:], into)
            found = np.empty_like(expected)
            getattr(array, name)(0, out=expected, keepdims=keepdims)
            assert getattr(split, name)(0, out=found, keepdims=keepdims) is found
            np.testing.assert_array_equal(found, expected)


def small_numbers(kind):
    """Numbers of which every result that is compared fits into every type."""
    array = np.random.default_rng(4).integers(0, 2 if kind == "?" else 4, SHAPE).astype(kind)
    return array * array.dtype.type(1 - 1j) if kind[0] == "c" else array


def outcome(call):
    """What a call gives, or which kind of error."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
        try:
            return call()
        except TypeError:
            return TypeError
        except ValueError:
            return ValueError


def is_supported(name, asked):
    """Variances are of floats; numpy's of integers are those from a mean that is cut off."""
    return name not in {"var", "std"} or asked is None or np.dtype(asked).kind in "fc"


INTO = [None, "?", "i1", "u1", "i4", "u8", "f2", "f4", "f8", ">f4", "c8", "c16"]
GATHERED = [None, "?", "u1", "i4", "f2", "f4", "f8", "c8", ">f4"]
WAYS = [*product([None, 0, -1, (0, 2), (1,), ()], (False, True))]
NAMES = ("sum", "mean", "var", "std", "max", "min")


@pytest.mark.parametrize("kind", ["?", "u1", ">i2", "i8", "f2", "f4", "c8"])
@pytest.mark.parametrize("name", NAMES)
def test_every_dtype_goes_into_every_out_as_with_numpy(tmp_path, kind, name):
    array = small_numbers(kind)
    split = save_to_split_dataset(array, tmp_path / "a", BLOCK)
    ways = cycle(WAYS)
    for asked, into in product([None] if name in {"max", "min"} else GATHERED, INTO):
        if not is_supported(name, asked):
            continue
        (axis, keepdims), found = next(ways), {}
        shape = np.sum(np.ones(SHAPE), axis, keepdims=keepdims).shape
        for whose in (array, split):
            out = {} if into is None else {"out": np.full(shape, 1, into)}
            given: dict[str, Any] = {"axis": axis, "keepdims": keepdims, **out}
            if asked is not None:
                given["dtype"] = asked
            made = outcome(partial(getattr(whose, name), **given))
            assert isinstance(made, type) or into is None or made is given["out"]
            found[whose is split] = made
        expected, made = found[False], found[True]
        told = (asked, into, axis, keepdims, expected, made)
        assert type(expected) is type(made), told
        if isinstance(expected, type):
            assert expected is made, told
            continue
        assert expected.dtype == made.dtype, told
        # numpy cuts sums off each time that it adds to an out of integers, and not only once.
        cut = name == "var" and made.dtype.kind in "iu"
        rough = "f2" in (kind, asked, into)
        wide = "c16" if made.dtype.kind == "c" else "f8"
        np.testing.assert_allclose(
            made.astype(wide),
            expected.astype(wide),
            rtol=4e-3 if rough else 1e-5,
            atol=cut,
            err_msg=str(told),
        )


def test_a_mean_is_divided_in_its_out(tmp_path):
    array = np.arange(12, dtype="i4").reshape(6, 2)
    split = save_to_split_dataset(array, tmp_path / "a", (2, None))
    out, short = np.zeros(2), np.zeros(2, "u1")
    assert split.mean(0, "i8", out=out) is out
    assert out.tolist() == [5, 6]
    half = split.view[:2].mean(dtype="i8", out=np.zeros(()))
    assert (half, split.view[:2].mean(dtype="i8")) == (1.5, 1)
    large = save_to_split_dataset(array + 200, tmp_path / "b", (2, None))
    for dtype in ("i4", "i8", "u1"):  # sums wrap around where the out is too narrow for them
        expected = (array + 200).mean(0, dtype, out=np.zeros(2, "u1"))
        np.testing.assert_array_equal(large.mean(0, dtype, out=short), expected)


def test_the_largest_of_unsigned_ones_goes_into_a_signed_out_as_with_numpy(tmp_path):
    array = np.array([[2**60 + 1, 3], [2**60 + 3, 2**62 + 1]], "u8")
    split = save_to_split_dataset(array, tmp_path / "a", (1, None))
    for name in ("max", "min", "sum"):
        expected = getattr(array, name)(0, out=np.zeros(2, "i8"))
        np.testing.assert_array_equal(getattr(split, name)(0, out=np.zeros(2, "i8")), expected)


@pytest.mark.parametrize(
    "wrong",
    [
        {"dtype": "zz"},
        {"dtype": 5},
        {"dtype": b"f9"},
        {"axis": "yx"},
        {"axis": 1.0},
        {"axis": b"x"},
        {"ddof": "1"},
        {"ddof": None},
    ],
)
def test_arguments_that_are_none_are_refused_before_anything_is_read(tmp_path, monkeypatch, wrong):
    array = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    split = save_to_split_dataset(array, tmp_path / "a", BLOCK)
    monkeypatch.setattr(type(split), "_read", None)
    with pytest.raises(TypeError):
        array.var(**wrong)
    with pytest.raises(UnsupportedError, match=next(iter(wrong))):
        split.var(**wrong)


def test_a_list_of_axes_is_refused_as_numpy_does(tmp_path):
    array = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    split = save_to_split_dataset(array, tmp_path / "a", BLOCK)
    for axis in ([0], [0, 1], np.array([0]), "0", b"\0", {0}):
        given: Any = axis
        for each in (array, split):
            with pytest.raises(TypeError):
                each.sum(axis=given)
