"""A resolution is one number for each axis, or for each but the first, wherever it is looked at."""

import json

import numpy as np
import pytest

from haversack.errors import UsageError
from haversack.split import (
    EmptySplitDataset,
    FrameWriter,
    SplitDataset,
    save_frames,
    save_to_split_dataset,
)

from .test_foreign import BRUNOISE, directory

SPACE = (5.0, 0.6, 0.5)
SIZE = (4, None, None, None)


@pytest.fixture
def short(tmp_path, volumes):
    """An array of four axes with the resolution of the last three."""
    return save_to_split_dataset(volumes, tmp_path / "short", SIZE, resolution=SPACE)


def test_it_is_given_back_as_it_was_given(tmp_path, short):
    assert short.resolution == SPACE
    assert SplitDataset(short.root).about == short.about
    assert save_to_split_dataset(short, tmp_path / "again").about == short.about
    assert short.map_blocks(np.negative, to=tmp_path / "mapped").resolution == SPACE


def test_views_keep_it_at_the_axes_that_it_belongs_to(tmp_path, short):
    assert short.view[3].resolution == SPACE
    assert short.view[::2, ::2, ::-2].resolution == (10, 1.2, 0.5)
    assert short.view[:, 1].resolution == SPACE[1:]
    assert short.view[2, :, 0, ::2].resolution == (5, 1)
    assert short.view[0, :, 0].view[:, ::3].resolution == (5, 1.5)
    trace = short.view[:, 1, 2, 3]
    assert trace.resolution == ()
    assert save_to_split_dataset(trace, tmp_path / "trace").resolution == (1,)
    assert save_to_split_dataset(short.view[:, 1], tmp_path / "plane").resolution == SPACE[1:]


def test_levels_of_a_pyramid_double_it_where_they_halve(short):
    levels = short.build_pyramid(2)
    assert [level.resolution for level in levels] == [SPACE, (5, 1.2, 1), (5, 2.4, 2)]


@pytest.mark.parametrize("frequency", [None, 20])
def test_xarray_has_coordinates_of_what_is_known(tmp_path, volumes, frequency):
    pytest.importorskip("xarray")
    about = {"resolution": SPACE, "units": ("s", "um", "um", "um"), "frequency": frequency}
    lazy = save_to_split_dataset(volumes, tmp_path / "a", **about).to_xarray()
    assert [*lazy.coords] == [*("t" * (frequency is not None)), "z", "y", "x"]
    for name, step in zip("zyx", SPACE, strict=True):
        np.testing.assert_allclose(lazy[name], np.arange(lazy.sizes[name]) * step)
        assert lazy[name].attrs["units"] == "um"


@pytest.mark.parametrize(
    "wrong",
    [(), (1, 2), (1, 2, 3, 4, 5), (1, np.inf, 1), 0.5, "fine", (1, 0, 1), (1, 1, -0.5, 1)],
)
def test_one_that_fits_no_axes_is_refused_by_every_writer(tmp_path, volumes, wrong):
    given, place = {"resolution": wrong}, tmp_path / "a"
    with pytest.raises(UsageError, match="resolution"):
        save_to_split_dataset(volumes, place, **given)
    with pytest.raises(UsageError, match="resolution"):
        EmptySplitDataset(tmp_path, "a", volumes.shape, SIZE, **given)
    with pytest.raises(UsageError, match="resolution"), FrameWriter(place, **given) as writer:
        writer.append(volumes[0])
    with pytest.raises(UsageError, match="resolution"):
        save_frames(iter(volumes), place, **given)
    assert not place.exists()
    empty = EmptySplitDataset(tmp_path, "b", volumes.shape, SIZE)
    with pytest.raises(UsageError, match="resolution"):
        empty.resolution = wrong
    assert empty.resolution == (1, 1, 1, 1)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ([5, 0.6, 0.5], SPACE),
        ([2, 5, 0.6, 0.5], (2, *SPACE)),
        ([1, 2, 5, 0.6, 0.5], (2, *SPACE)),  # copied from an array of more axes
        ([0.6, 0.5], (1, 1, 0.6, 0.5)),
        ([1, 0, 0], (1, 0, 0)),  # the package cuts 0.5 off to 0
        ([-1, 5, 0.6, 0.5], (-1, *SPACE)),
        ([], (1, 1, 1, 1)),
        (None, (1, 1, 1, 1)),
    ],
)
def test_a_directory_of_the_old_package_opens_whatever_it_has(tmp_path, theirs, ours):
    folder = directory(tmp_path / "old", {**BRUNOISE, "resolution": theirs})
    before = {path: path.read_bytes() for path in folder.iterdir()}
    found = SplitDataset(folder)
    assert found.resolution == ours
    assert save_to_split_dataset(found, tmp_path / "new").resolution == ours
    assert found.map_blocks(np.negative, to=tmp_path / "mapped").resolution == ours
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert json.loads((folder / "stack_metadata.json").read_text())["resolution"] == theirs
