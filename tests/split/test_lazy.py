"""dask and xarray read split arrays lazily, block by block, with coordinates."""

import pickle
import tomllib
from pathlib import Path

import numpy as np
import pytest

from haversack.errors import MissingExtraError, UsageError
from haversack.split import SplitDataset, save_to_split_dataset

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


@pytest.fixture
def series(tmp_path, volumes):
    return save_to_split_dataset(
        volumes,
        tmp_path / "series",
        (4, None, 30, None),
        resolution=(0.05, 5, 0.5, 0.25),
        units=("s", "um", "um", "um"),
        frequency=20,
        metadata={"fish": 7},
    )


def test_dask_has_the_blocks_as_chunks(series, volumes):
    pytest.importorskip("dask.array")
    lazy = series.to_dask()
    assert lazy.chunks == ((4, 4, 3), (3,), (30, 11), (37,))
    assert lazy.dtype == volumes.dtype
    np.testing.assert_array_equal(lazy.compute(), volumes)
    np.testing.assert_array_equal(lazy[::-2, 1, [3, 1]].compute(), volumes[::-2, 1, [3, 1]])
    assert lazy.sum().compute() == volumes.sum()


def test_dask_reads_views_and_is_saved(tmp_path, series, volumes):
    da = pytest.importorskip("dask.array")
    lazy = series.view[1::2, 1].to_dask()
    assert lazy.chunks == ((2, 2, 1), (30, 11), (37,))
    np.testing.assert_array_equal(lazy.compute(), volumes[1::2, 1])
    chunked = da.from_array(volumes, chunks=(5, 3, 41, 20)) + 1
    saved = save_to_split_dataset(chunked, tmp_path / "saved")
    assert saved.shape_block == (5, 3, 41, 20)
    np.testing.assert_array_equal(saved, volumes + 1)


def test_xarray_has_coordinates_and_reads_lazily(series, volumes, monkeypatch):
    pytest.importorskip("xarray")
    read = []
    whole = SplitDataset._read

    def noted(self, *args):
        read.append(args)
        return whole(self, *args)

    monkeypatch.setattr(SplitDataset, "_read", noted)
    lazy = series.to_xarray("activity")
    assert not read
    assert lazy.dims == ("t", "z", "y", "x")
    assert lazy.attrs == {"fish": 7}
    np.testing.assert_allclose(lazy.t, np.arange(11) / 20)
    assert lazy.t.attrs["units"] == "s"
    np.testing.assert_allclose(lazy.x, np.arange(37) * 0.25)
    found = lazy.sel(t=0.2, method="nearest").isel(z=[2, 0], y=slice(None, None, -3))
    np.testing.assert_array_equal(found, volumes[4][[2, 0], ::-3])
    np.testing.assert_array_equal(lazy.mean("t"), volumes.mean(0))


def test_xarray_finds_a_frame_by_its_time(tmp_path):
    xr = pytest.importorskip("xarray")
    from haversack.split.xarray_backend import HaversackBackend

    frames = np.arange(25)[:, None] + np.zeros((1, 3), "u2")
    made = save_to_split_dataset(frames, tmp_path / "made", frequency=10)
    with xr.open_dataset(made.root, engine=HaversackBackend) as dataset:
        assert dataset["stack"].sel({dataset["stack"].dims[0]: 0.3})[0] == 3
    for lazy, first in ((made.to_xarray(), 0), (made.view[2:].to_xarray(), 2)):
        time = lazy.dims[0]
        for frame in range(first, 25):
            assert lazy.sel({time: frame / 10})[0] == frame
    assert made.view[3].to_xarray().coords[made.axes[0]] == 0.3


def test_xarray_opens_directories(series, volumes):
    xr = pytest.importorskip("xarray")
    from haversack.split.xarray_backend import HaversackBackend

    with xr.open_dataset(series.root, engine=HaversackBackend) as dataset:
        np.testing.assert_array_equal(dataset["stack"], volumes)
        assert set(dataset.coords) == {"t", "z", "y", "x"}
    with xr.open_dataset(series.root, engine=HaversackBackend, drop_variables="z") as dataset:
        assert "z" not in dataset.coords
    backend = HaversackBackend()
    assert backend.guess_can_open(series.root)
    assert not backend.guess_can_open(series.root / "0000.h5")
    assert not backend.guess_can_open(object())


def test_xarray_opens_no_empty_path(series, monkeypatch):
    xr = pytest.importorskip("xarray")
    from haversack.split.xarray_backend import HaversackBackend

    monkeypatch.chdir(series.root)
    with pytest.raises(UsageError, match="a path is empty"):
        xr.open_dataset("", engine=HaversackBackend)
    assert not HaversackBackend().guess_can_open("")
    with xr.open_dataset(".", engine=HaversackBackend) as dataset:
        assert "stack" in dataset


@pytest.mark.parametrize(
    "index",
    [
        np.s_[4:],
        np.s_[::-1],
        np.s_[9:2:-3, 1, 5:, ::2],
        np.s_[2, :, 7],
        np.s_[3:3],
        np.s_[..., 4:],
        np.s_[1, 2, 3, 4],
    ],
)
def test_xarray_shows_a_view_where_it_lies(series, index):
    xr = pytest.importorskip("xarray")
    xr.testing.assert_identical(series.view[index].to_xarray(), series.to_xarray()[index])
    twice = series.view[2:].view[index]
    xr.testing.assert_identical(twice.to_xarray(), series.to_xarray()[2:][index])


def test_the_blocks_are_what_xarray_likes_to_read(series, volumes):
    xr = pytest.importorskip("xarray")
    pytest.importorskip("dask.array")
    from haversack.split.xarray_backend import HaversackBackend

    with xr.open_dataset(series.root, engine=HaversackBackend, chunks={}) as dataset:
        assert dataset["stack"].chunks == ((4, 4, 3), (3,), (30, 11), (37,))
        np.testing.assert_array_equal(dataset["stack"], volumes)
    with xr.open_dataset(series.root, engine=HaversackBackend, chunks={"t": 8}) as dataset:
        assert dataset["stack"].chunks == ((8, 3), (3,), (30, 11), (37,))
    view = series.view[1:4:2, 0, 40:20:-1].to_xarray()
    assert view.encoding["preferred_chunks"] == {"t": (2,), "y": (11, 9), "x": (37,)}
    empty = series.view[3:3].to_xarray()
    assert empty.encoding["preferred_chunks"]["t"] == (0,)


def test_what_xarray_reads_from_is_pickled(series, volumes):
    xr = pytest.importorskip("xarray")
    from haversack.split.xarray_backend import HaversackBackend

    lazy = pickle.loads(pickle.dumps(series.view[::-2, 1].to_xarray()))
    np.testing.assert_array_equal(lazy, volumes[::-2, 1])
    with xr.open_dataset(series.root, engine=HaversackBackend) as dataset:
        sent = pickle.dumps(dataset)
        assert len(sent) < volumes.nbytes / 4  # it was not read
        xr.testing.assert_identical(pickle.loads(sent), dataset)


def test_the_entry_points_name_what_is_there():
    points = tomllib.loads(PROJECT.read_text())["project"]["entry-points"]
    module, name = points["xarray.backends"]["haversack"].split(":")
    path = PROJECT.parent / "src" / Path(*module.split(".")).with_suffix(".py")
    assert f"class {name}(" in path.read_text()
    package, manifest = points["napari.manifest"]["haversack"].split(":")
    assert (PROJECT.parent / "src" / Path(*package.split(".")) / manifest).is_file()


@pytest.mark.parametrize("missing", ["dask", "xarray"])
def test_what_is_not_installed_is_named(series, missing, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setitem(sys.modules, f"{missing}.array", None)
    with pytest.raises(MissingExtraError, match=rf"haversack\[{missing}\]"):
        getattr(series, f"to_{missing}")()
