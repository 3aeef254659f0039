"""Split arrays are made of other formats and written in them, whole and unchanged."""

import json
import pickle
from typing import Any

import h5py
import numpy as np
import pytest

from haversack import PackWriter
from haversack.convert import export_array, import_array
from haversack.errors import (
    EmptySourceError,
    ExistsError,
    FormatError,
    HaversackError,
    MissingExtraError,
    NotFoundError,
    PathNotFoundError,
    UnsupportedError,
    UsageError,
)
from haversack.split import SplitDataset, save_to_split_dataset
from haversack.split.frames import save_all_frames

ABOUT: dict[str, Any] = {
    "resolution": (0.05, 5.0, 0.5, 0.5),
    "units": ("second", "micrometer", "micrometer", "micrometer"),
    "axes": ("t", "z", "y", "x"),
}
SPACE, MS = ["micrometer"] * 3, "millisecond"


@pytest.fixture
def volumes():
    return np.random.default_rng(2).integers(0, 700, (9, 3, 40, 30)).astype("uint16")


@pytest.fixture
def saved(tmp_path, volumes):
    return save_to_split_dataset(volumes, tmp_path / "saved", (4, None, 25, None), **ABOUT)


@pytest.mark.parametrize("name", ["a.npy", "a.h5"])
def test_files_come_back(tmp_path, saved, volumes, name):
    path = export_array(saved, tmp_path / name)
    again = import_array(path, tmp_path / "again", block_size=(2, None, None, None))
    np.testing.assert_array_equal(again, volumes)
    assert again.shape_block == (2, 3, 40, 30)
    with pytest.raises(ExistsError):
        export_array(saved, path)
    view = saved.view[::-2, 1]
    np.testing.assert_array_equal(
        import_array(export_array(view, tmp_path / f"view-{name}"), tmp_path / "view"),
        volumes[::-2, 1],
    )
    names = {each.name for each in tmp_path.iterdir()}
    assert names == {"saved", "again", "view", name, f"view-{name}"}


def test_npy_is_what_numpy_writes(tmp_path, saved, volumes):
    np.testing.assert_array_equal(np.load(export_array(saved, tmp_path / "a.npy")), volumes)
    assert np.load(export_array(saved.view[:0], tmp_path / "b.npy")).shape == (0, 3, 40, 30)
    found = np.load(export_array(saved.view[1, 1, 1, 1], tmp_path / "c.npy"))
    assert (found.shape, found) == ((), volumes[1, 1, 1, 1])


def test_an_export_that_fails_leaves_nothing(tmp_path, saved):
    (saved.root / "0003.h5").unlink()
    for name in ("a.npy", "a.h5"):
        with pytest.raises(FormatError, match=r"0003\.h5 is missing"):
            export_array(saved, tmp_path / name)
    with pytest.raises(UsageError, match="format"):
        export_array(saved, tmp_path / "a.xyz")
    assert [each.name for each in tmp_path.iterdir()] == ["saved"]


def test_zarr_comes_back(tmp_path, saved, volumes):
    zarr = pytest.importorskip("zarr")
    path = export_array(saved, tmp_path / "a.zarr")
    found = zarr.open_array(path, mode="r")
    np.testing.assert_array_equal(found[...], volumes)
    assert found.metadata.dimension_names == ("t", "z", "y", "x")
    np.testing.assert_array_equal(import_array(path, tmp_path / "again"), volumes)


def test_ome_zarr_keeps_scale_units_and_levels(tmp_path, saved, volumes):
    zarr = pytest.importorskip("zarr")
    levels = saved.build_pyramid(1)
    path = export_array(saved, tmp_path / "a.ome.zarr")
    image = json.loads((path / "zarr.json").read_text())["attributes"]["ome"]["multiscales"][0]
    assert [axis["type"] for axis in image["axes"]] == ["time", "space", "space", "space"]
    assert [each["path"] for each in image["datasets"]] == ["0", "1"]
    scale = image["datasets"][1]["coordinateTransformations"][0]["scale"]
    assert scale == [0.05, 5.0, 1.0, 1.0]
    np.testing.assert_array_equal(zarr.open_group(path, mode="r")["1"][...], levels[1])
    again = import_array(path, tmp_path / "again")
    np.testing.assert_array_equal(again, volumes)
    assert (again.about.resolution, again.about.units) == (ABOUT["resolution"], ABOUT["units"])
    odd = save_to_split_dataset(volumes, tmp_path / "odd", axes=("a", "b", "y", "x"))
    with pytest.raises(UsageError, match="OME-Zarr"):
        export_array(odd, tmp_path / "b", "ome-zarr")
    assert not (tmp_path / "b").exists()


def test_ome_zarr_has_a_resolution_of_the_last_axes_at_their_places(tmp_path, volumes):
    pytest.importorskip("zarr")
    saved = save_to_split_dataset(volumes, tmp_path / "saved", resolution=(5, 0.5, 0.5))
    saved.build_pyramid(1)
    path = export_array(saved, tmp_path / "a.ome.zarr")
    image = json.loads((path / "zarr.json").read_text())["attributes"]["ome"]["multiscales"][0]
    scales = [each["coordinateTransformations"][0]["scale"] for each in image["datasets"]]
    assert scales == [[1, 5, 0.5, 0.5], [1, 5, 1, 1]]


@pytest.mark.parametrize(
    ("about", "scale", "units"),
    [
        ({"units": ("ms", "um", "um", "um"), "frequency": 20}, 0.05, ["second", *SPACE]),
        ({"units": "um", "frequency": 20}, 0.05, ["second", *SPACE]),
        ({"frequency": 20}, 0.05, ["second", None, None, None]),
        ({"units": "um"}, 1.0, [None, *SPACE]),
        ({"units": ("ms", "um", "um", "um"), "resolution": (50, 1, 1, 1)}, 50, [MS, *SPACE]),
        ({"frequency": 20, "axes": ("c", "z", "y", "x")}, 1.0, [None, None, None, None]),
    ],
)
def test_ome_zarr_tells_times_in_their_unit(tmp_path, volumes, about, scale, units):
    pytest.importorskip("zarr")
    path = export_array(
        save_to_split_dataset(volumes, tmp_path / "saved", **about), tmp_path / "a.ome.zarr"
    )
    image = json.loads((path / "zarr.json").read_text())["attributes"]["ome"]["multiscales"][0]
    assert [axis.get("unit") for axis in image["axes"]] == units
    [found] = image["datasets"][0]["coordinateTransformations"]
    assert found["scale"][0] == scale


def test_zarr_keeps_the_values_of_another_byte_order(tmp_path, volumes):
    pytest.importorskip("zarr")
    saved = save_to_split_dataset(volumes.astype(">i2"), tmp_path / "saved")
    made = import_array(export_array(saved, tmp_path / "a.zarr"), tmp_path / "made")
    assert made.dtype == np.int16
    np.testing.assert_array_equal(made, volumes)


@pytest.mark.parametrize("kind", ["f", "c"])
def test_a_type_that_zarr_lacks_is_refused_and_who_takes_it_is_told(tmp_path, kind):
    pytest.importorskip("zarr")
    dtype = np.dtype(np.longdouble if kind == "f" else np.clongdouble)
    if dtype.itemsize <= {"f": 8, "c": 16}[kind]:
        pytest.skip("numbers of the usual width")
    data = np.arange(6, dtype=dtype).reshape(2, 3)
    saved = save_to_split_dataset(data, tmp_path / "saved")
    for name in ("a.zarr", "a.ome.zarr"):
        with pytest.raises(UnsupportedError, match=f"no type for {dtype}: export to npy or HDF5"):
            export_array(saved, tmp_path / name)
    for name in ("a.npy", "a.h5"):
        again = import_array(export_array(saved, tmp_path / name), tmp_path / f"of-{name}")
        assert again.dtype == dtype
        np.testing.assert_array_equal(again, data)
    assert not list(tmp_path.glob("*zarr*"))


@pytest.mark.parametrize("axes", [("t",), ("x",), ("t", "x"), ("z", "t")])
def test_an_array_without_y_and_x_is_told_so(tmp_path, axes):
    pytest.importorskip("zarr")
    saved = save_to_split_dataset(np.ones((2,) * len(axes)), tmp_path / "saved", axes=axes)
    with pytest.raises(UsageError, match=f"{', '.join(axes)}: an OME-Zarr image needs y and x"):
        export_array(saved, tmp_path / "a.ome.zarr")
    assert not (tmp_path / "a.ome.zarr").exists()


def test_zarr_that_is_not_installed_is_named(tmp_path, saved, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(MissingExtraError, match=r"haversack\[zarr\]"):
        export_array(saved, tmp_path / "a.zarr")
    assert [each.name for each in tmp_path.iterdir()] == ["saved"]


def test_pages_of_tiff_files_are_frames(tmp_path, volumes):
    imagecodecs = pytest.importorskip("imagecodecs")
    folder = tmp_path / "tiffs"
    folder.mkdir()
    for number, stack in enumerate(volumes):
        content = imagecodecs.tiff_encode(stack, photometric="minisblack")
        (folder / f"{number:03}.tif").write_bytes(content)
    made = import_array(folder, tmp_path / "made", block_size=(8, None, None))
    np.testing.assert_array_equal(made, volumes.reshape(-1, 40, 30))
    names = sorted(folder.iterdir())
    made = import_array(names[:2], tmp_path / "two")
    np.testing.assert_array_equal(made, volumes[:2].reshape(-1, 40, 30))
    names[1].write_bytes(names[1].read_bytes()[:300])
    with pytest.raises(HaversackError, match=r"001\.tif"):
        import_array(folder, tmp_path / "cut")
    names[0].write_bytes(b"no tiff")
    with pytest.raises(FormatError, match=r"000\.tif: it is no TIFF"):
        import_array(folder, tmp_path / "none")


def test_records_of_a_packed_dataset_are_frames(tmp_path, volumes):
    with PackWriter(tmp_path / "packed") as writer:
        for number, frame in enumerate(volumes):
            writer.append(frame, key=number)
    made = import_array(tmp_path / "packed", tmp_path / "made", block_size=(4, None, None, None))
    np.testing.assert_array_equal(made, volumes)


def test_a_split_array_is_made_anew(tmp_path, saved, volumes):
    made = import_array(saved.root, tmp_path / "new", layout="traces", compression="zstd")
    assert made.coding.layout == "traces"
    np.testing.assert_array_equal(made, volumes)


def test_an_array_in_a_large_hdf5_file_is_named(tmp_path, volumes):
    with h5py.File(tmp_path / "a.h5", "w") as hdf5:
        hdf5["group/raw"] = volumes
        hdf5["group/mask"] = volumes > 9
        hdf5["out"] = h5py.ExternalLink("b.h5", "raw")
    found = import_array(tmp_path / "a.h5", tmp_path / "made", dataset="group/raw")
    np.testing.assert_array_equal(found, volumes)
    for name in (None, "group", "none", "out", "", "/"):
        kind = UsageError if name is None else NotFoundError
        with pytest.raises(kind, match=r"a\.h5:? (has|'.*' is) no array|has the arrays"):
            import_array(tmp_path / "a.h5", tmp_path / "other", dataset=name)


def hdf5_of(path, *names, **others):
    """A file of small arrays, each of another number."""
    with h5py.File(path, "w") as hdf5:
        for number, name in enumerate(names):
            hdf5[name] = np.full((2, 3), number)
        for name, value in others.items():
            hdf5[name] = value
    return path


@pytest.mark.parametrize(
    "names",
    [
        ("p_stack", "q_stack"),
        ("p_stack", "deep/q_stack", "raw"),
        ("thumb", "exchange/data"),
        ("stack/raw", "stack/mask"),
        ("a/b/c", "a/d"),
    ],
)
def test_of_several_arrays_of_hdf5_none_is_taken_unasked(tmp_path, names):
    path = hdf5_of(tmp_path / "a.h5", *names)
    with pytest.raises(UsageError, match="--dataset") as caught:
        import_array(path, tmp_path / "new")
    assert all(name in str(caught.value) for name in names)
    assert not (tmp_path / "new").exists()
    for number, name in enumerate(names):
        made = import_array(path, tmp_path / f"new{number}", dataset=name)
        np.testing.assert_array_equal(made, np.full((2, 3), number))


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        (("exchange/data",), 0),
        (("raw", "deep/my_stack", "mask"), 1),
        (("stack_4D", "stack_info/times"), 0),
    ],
)
def test_the_only_array_of_hdf5_or_the_only_stack_is_taken(tmp_path, names, taken):
    path = hdf5_of(tmp_path / "a.h5", *names, version=3.0, notes=["a", "b"])
    made = import_array(path, tmp_path / "new")
    np.testing.assert_array_equal(made, np.full((2, 3), taken))


def test_hdf5_without_an_array_of_numbers_says_so(tmp_path):
    path = hdf5_of(tmp_path / "a.h5")
    for others in ({}, {"title": "hi", "n": 3}):
        with pytest.raises(EmptySourceError, match=r"a\.h5 holds no array of one axis or more"):
            import_array(hdf5_of(path, **others), tmp_path / "new")
    with pytest.raises(UnsupportedError, match=r"a\.h5"):
        import_array(hdf5_of(path, notes=["a", "b"]), tmp_path / "new")


def test_of_several_arrays_of_zarr_none_is_taken_unasked(tmp_path):
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("deep/data", data=np.ones((2, 3)))
    made = import_array(tmp_path / "a.zarr", tmp_path / "new")
    np.testing.assert_array_equal(made, np.ones((2, 3)))
    group.create_array("thumb", data=np.zeros(3))
    with pytest.raises(UsageError, match=r"deep/data, thumb|thumb, deep/data"):
        import_array(tmp_path / "a.zarr", tmp_path / "other")
    with pytest.raises(NotFoundError, match="no array 'deep'; those it has: .*deep/data"):
        import_array(tmp_path / "a.zarr", tmp_path / "other", dataset="deep")


def test_a_name_of_an_array_that_would_do_nothing_is_refused(tmp_path, saved):
    pytest.importorskip("zarr")
    folder = tiffs(tmp_path / "tiffs", np.ones((2, 2, 3), "u2"))
    npy = export_array(saved, tmp_path / "a.npy")
    for source in (npy, saved.root, folder, folder / "img0.tif", [folder / "img0.tif"]):
        with pytest.raises(UsageError, match="dataset 'raw' names an array of HDF5 or Zarr"):
            import_array(source, tmp_path / "new", dataset="raw")
    with pytest.raises(UsageError, match="is one array, which holds no 'raw': leave it out"):
        import_array(export_array(saved, tmp_path / "a.zarr"), tmp_path / "new", dataset="raw")
    assert not (tmp_path / "new").exists()


def test_what_is_no_array_is_refused(tmp_path):
    with pytest.raises(PathNotFoundError):
        import_array(tmp_path / "none.npy", tmp_path / "new")
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY")
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.h5").write_bytes(b"no HDF5")
    with (tmp_path / "b.npy").open("wb") as file:
        np.save(file, np.array([{}]), allow_pickle=True)
    (tmp_path / "a.tif").write_bytes(b"no TIFF")
    (tmp_path / "b.tif").write_bytes(b"")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    for name in ("a.npy", "notes", "a.h5", "a.tif", "b.tif"):
        with pytest.raises(FormatError, match=name.replace(".", r"\.")):
            import_array(tmp_path / name, tmp_path / "new")
    with pytest.raises(UnsupportedError, match="object cannot .*: only booleans and numbers can"):
        import_array(tmp_path / "b.npy", tmp_path / "new")
    PackWriter(tmp_path / "packed").close()
    for name, told in (("empty", "is an empty directory"), ("packed", "has no records")):
        with pytest.raises(EmptySourceError, match=f"{name} {told}"):
            import_array(tmp_path / name, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("planes", "axes"), [("contig", ("z", "y", "x", "c")), ("separate", ("z", "c", "y", "x"))]
)
def test_the_colours_of_a_tiff_are_an_axis_of_their_own_name(tmp_path, planes, axes):
    imagecodecs = pytest.importorskip("imagecodecs")
    colours = np.arange(8 * 9 * 3, dtype="u1").reshape(
        (8, 9, 3) if planes == "contig" else (3, 8, 9)
    )
    data = imagecodecs.tiff_encode(colours, photometric="rgb", planarconfig=planes)
    (tmp_path / "a.tif").write_bytes(data)
    made = import_array(tmp_path / "a.tif", tmp_path / "new")
    np.testing.assert_array_equal(made, colours[None])
    assert made.axes == axes
    other = import_array(tmp_path / "a.tif", tmp_path / "other", axes=("t", "a", "b", "d"))
    assert other.axes == ("t", "a", "b", "d")


class Marker:
    """Runs code where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_pickled_attributes_run_nothing(tmp_path, volumes):
    marker = tmp_path / "ran"
    with h5py.File(tmp_path / "a.h5", "w") as hdf5:
        hdf5["stack"] = volumes
        for node in (hdf5, hdf5["stack"]):
            node.attrs["TITLE"] = np.void(pickle.dumps(Marker(marker)))
    np.testing.assert_array_equal(import_array(tmp_path / "a.h5", tmp_path / "made"), volumes)
    assert not marker.exists()


def tiffs(folder, frames, names="img{}.tif"):
    """A directory of TIFF files, one frame in each."""
    imagecodecs = pytest.importorskip("imagecodecs")
    folder.mkdir()
    for number, frame in enumerate(frames):
        content = imagecodecs.tiff_encode(frame, photometric="minisblack")
        (folder / names.format(number)).write_bytes(content)
    return folder


def test_tiff_files_come_in_the_order_of_their_numbers(tmp_path):
    frames = np.arange(12 * 6, dtype="u2").reshape(12, 2, 3)
    folder = tiffs(tmp_path / "tiffs", frames)
    (folder / "._img0.tif").write_bytes(b"\0\5\x16\7")
    np.testing.assert_array_equal(import_array(folder, tmp_path / "made"), frames)
    names = sorted(path for path in folder.iterdir() if path.name[0] != ".")
    listed = import_array(names, tmp_path / "listed")
    np.testing.assert_array_equal(listed[:4], frames[[0, 1, 10, 11]])


@pytest.mark.parametrize("block", [None, (2, None, None)])
@pytest.mark.parametrize("rest", [(), ("notes.txt",)])
@pytest.mark.parametrize("kind", ["tiffs", "packed"])
def test_an_import_that_fails_leaves_nothing_and_can_be_tried_again(tmp_path, kind, rest, block):
    frames = [*np.ones((7, 2, 3), "u2"), np.ones((2, 4), "u2")]
    source, target = tmp_path / kind, tmp_path / "new"
    if kind == "tiffs":
        tiffs(source, frames)
    else:
        with PackWriter(source) as writer:
            for number, frame in enumerate(frames):
                writer.append(frame, key=number)
    for name in rest:
        target.mkdir()
        (target / name).write_text("mine")
    for _ in range(2):
        with pytest.raises(UsageError, match=r"shape \(2, 4\) does not fit"):
            import_array(source, target, block_size=block)
        left = [path.name for path in target.iterdir()] if target.exists() else []
        assert left == [*rest]
        assert target.exists() == bool(rest)
    good = [source / f"img{number}.tif" for number in range(7)] if kind == "tiffs" else None
    if good is not None:
        assert import_array(good, target, block_size=block).shape == (7, 2, 3)


def test_an_import_that_is_interrupted_leaves_nothing(tmp_path):
    folder = tiffs(tmp_path / "tiffs", np.ones((9, 2, 3), "u2"))

    def interrupt(event):
        if event.done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_array(folder, tmp_path / "new", block_size=(2, None, None), progress=interrupt)
    assert not (tmp_path / "new").exists()


def test_an_import_never_removes_what_another_wrote(tmp_path, volumes):
    made = save_to_split_dataset(volumes, tmp_path / "new")
    folder = tiffs(tmp_path / "tiffs", [np.ones((2, 3), "u2"), np.ones((2, 4), "u2")])
    with pytest.raises(ExistsError):
        import_array(folder, made.root)
    np.testing.assert_array_equal(made, volumes)

    def pages():
        yield np.ones((2, 3), "u2")
        save_to_split_dataset(volumes, tmp_path / "other")
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        save_all_frames(pages(), tmp_path / "other")
    np.testing.assert_array_equal(SplitDataset(tmp_path / "other"), volumes)
