"""What the old package opens, opens here too, whatever stands in its JSON and its names."""

import bz2
import json
import os

import h5py
import numpy as np
import pytest

from haversack.errors import FormatError, NewerFormatError, UnsupportedError
from haversack.split import SplitDataset, is_split, repair, save_frames, save_to_split_dataset
from haversack.split.chunks import chunk

from .test_foreign import BRUNOISE, VOLUMES, directory, write


def holds_the_volumes(folder, prefix=None):
    """Whether a directory opens, and gives all of the data."""
    found = SplitDataset(folder, prefix=prefix)
    np.testing.assert_array_equal(found, VOLUMES)
    assert found.verify() == []
    return found


@pytest.mark.parametrize("size", [[4, None, None, None], [4], [4, None], [4, 3, None, 9]])
def test_axes_of_a_block_without_a_length_are_not_cut(tmp_path, size):
    found = holds_the_volumes(directory(tmp_path / "a", {**BRUNOISE, "shape_block": size}))
    assert found.shape_block == (4, 3, 8, 9)


@pytest.mark.parametrize("key", ["resolution", "voxel_size", "padding", "crop", "axis_order"])
@pytest.mark.parametrize(
    "odd", [None, float("nan"), [float("nan")] * 4, 0.5, {"z": 1}, "5", [], [[1]], True, 10**400]
)
def test_an_oddity_that_says_nothing_of_the_data_does_not_keep_it(tmp_path, key, odd):
    holds_the_volumes(directory(tmp_path / "a", {**BRUNOISE, key: odd}))


def test_distances_that_are_no_numbers_are_not_known_and_the_others_are(tmp_path):
    about = {**BRUNOISE, "resolution": [None, float("nan"), 0.5, 0.25]}
    assert SplitDataset(directory(tmp_path / "a", about)).resolution == (1, 1, 0.5, 0.25)


@pytest.mark.parametrize("size", [[4, 3, 8, 9, 1], [0, 3, 8, 9], [-4], 4, None, "4", [4.5], [{}]])
def test_a_block_shape_that_is_none_is_refused(tmp_path, size):
    with pytest.raises(FormatError, match=r"stack_metadata\.json"):
        SplitDataset(directory(tmp_path / "a", {**BRUNOISE, "shape_block": size}))


ODD = [None, float("nan"), float("inf"), True, 10, 3.5, "4", "10", {}, {"a": 1}]
ODD_LENGTHS = ["4", [4], {}, True, -1, 4.5, float("nan"), float("-inf"), 10**30, "x" * 999]


@pytest.mark.parametrize("field", ["shape_full", "shape_block"])
@pytest.mark.parametrize("odd", [*ODD, *([each, 3, 8, 9] for each in ODD_LENGTHS), [4] * 5])
def test_lengths_that_are_none_are_told_with_file_field_and_value(tmp_path, field, odd):
    if (field, odd) == ("shape_full", [4] * 5):
        odd = []
    folder = directory(tmp_path / "a", {**BRUNOISE, field: odd})
    with pytest.raises(FormatError) as told:
        SplitDataset(folder)
    value = json.dumps(odd)[:60]
    assert f"{folder / 'stack_metadata.json'}: {field} is {value}" in str(told.value)
    internals = ("Error(", "object", "iterable", "argument", "int()", "NoneType")
    assert not any(word in str(told.value) for word in internals)
    assert len(str(told.value)) < 400 + len(str(folder))


@pytest.mark.parametrize("field", ["shape_full", "shape_block"])
def test_lengths_that_are_missing_are_told_with_file_and_field(tmp_path, field):
    about = {key: value for key, value in BRUNOISE.items() if key != field}
    with pytest.raises(FormatError, match=rf"stack_metadata\.json: {field} is missing"):
        SplitDataset(directory(tmp_path / "a", about))


@pytest.mark.parametrize("odd", [5, [1], "1", True, {}, {"array": "a"}])
def test_what_haversack_says_in_metadata_is_told_where_it_says_nothing(tmp_path, odd):
    with pytest.raises(FormatError, match=r"stack_metadata\.json: haversack is "):
        SplitDataset(directory(tmp_path / "a", {**BRUNOISE, "haversack": odd}))


@pytest.mark.parametrize(
    ("names", "prefix"),
    [
        ("fish_{:04d}.h5", "fish"),
        ("fish_{:04d}.h5", "fish_"),
        ("2021_fish_stack_{:04d}.h5", "stack"),
        ("2021_fish_stack_{:04d}.h5", "fish_stack"),
        ("fish(1)_{:04d}.h5", "fish(1)"),
        ("{:04d}_channel2.h5", None),
        ("{:d}_of_12.h5", None),
    ],
)
def test_names_are_understood_as_the_old_package_does(tmp_path, names, prefix):
    holds_the_volumes(directory(tmp_path / "a", BRUNOISE, names=names), prefix)


def test_a_prefix_is_not_taken_for_the_end_of_another(tmp_path):
    folder = directory(tmp_path / "a", BRUNOISE, names="fish_{:04d}.h5")
    for number in range(3):
        write(folder / f"catfish_{number:04d}.h5", VOLUMES[:1])
        write(folder / f"fish2_{number:04d}.h5", VOLUMES[:1])
    holds_the_volumes(folder, "fish")
    with pytest.raises(FormatError, match="3 blocks"):
        SplitDataset(directory(tmp_path / "b", {**BRUNOISE, "shape_full": [4, 3, 8, 9]}), "")


def test_metadata_with_the_prefix_is_taken_before_any_other(tmp_path):
    folder = directory(tmp_path / "a", {**BRUNOISE, "shape_full": [1, 1]}, names="fish_{:04d}.h5")
    (folder / "fish_stack_metadata.json").write_text(json.dumps(BRUNOISE))
    holds_the_volumes(folder, "fish")
    with pytest.raises(FormatError, match="more than one array"):
        SplitDataset(folder)


def test_a_block_that_is_missing_is_named_as_the_others_are(tmp_path):
    about = {**BRUNOISE, "shape_full": [20, 3, 8, 9]}
    folder = directory(tmp_path / "a", about, names="2021_fish_{:04d}.h5")
    with pytest.raises(FormatError, match=r"2021_fish_0003\.h5 is missing"):
        SplitDataset(folder, "fish")[12:]


def test_a_wrong_prefix_is_told(tmp_path):
    folder = directory(tmp_path / "a", BRUNOISE, names="fish_{:04d}.h5")
    with pytest.raises(FormatError, match="no blocks"):
        SplitDataset(folder, prefix="cat")[0]
    (folder / "stack_metadata.json").unlink()
    with pytest.raises(FormatError, match="nor blocks whose names begin with 'cat'"):
        SplitDataset(folder, prefix="cat")
    ours = save_to_split_dataset(VOLUMES, tmp_path / "ours")
    with pytest.raises(FormatError, match="begin with '', not with 'cat'"):
        SplitDataset(ours.root, prefix="cat")


def test_files_that_macos_puts_beside_others_are_passed_over(tmp_path):
    folder = directory(tmp_path / "a", BRUNOISE)
    for path in list(folder.iterdir()):
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
    holds_the_volumes(folder)
    (folder / "stack_metadata.json").unlink()
    for path in folder.glob("0*"):
        path.unlink()
    assert not is_split(folder)


@pytest.mark.parametrize("there", [None, 0, 100, 2000])
def test_a_recording_whose_last_block_is_half_written_says_so(tmp_path, there):
    folder = directory(tmp_path / "a", BRUNOISE)
    (folder / "stack_metadata.json").unlink()
    last = folder / "0002.h5"
    last.write_bytes(last.read_bytes()[:there])
    expected = r"3 blocks but no stack_metadata\.json.* still being written, .* stopped.*shape_full"
    with pytest.raises(FormatError, match=expected) as told:
        SplitDataset(folder)
    assert ("0002.h5" in str(told.value)) == (there is not None)
    # What the message says to do.
    (folder / "stack_metadata.json").write_text(
        json.dumps({"shape_full": [10, 3, 8, 9], "shape_block": [4, 3, 8, 9]})
    )
    np.testing.assert_array_equal(SplitDataset(folder)[:8], VOLUMES[:8])


def legacy(folder, fill):
    """Take the JSON away, and put metadata into the last block."""
    (folder / "stack_metadata.json").unlink()
    with h5py.File(folder / "0002.h5", "a") as hdf5:
        for name, lengths in (("full_size", (10, 3, 8, 9)), ("block_size", (4, None, 8, None))):
            group = hdf5.create_group(f"stack_metadata/{name}")
            for number, length in enumerate(lengths):
                fill(group, f"i{number}", length)
    return folder


def as_flammkuchen_does(group, name, length):
    """Numbers are attributes; the first None is a group, the next ones are links to it."""
    if length is not None:
        group.attrs[name] = length
    elif name == "i1":
        group.create_group(name)
    else:
        group[name] = h5py.SoftLink("/stack_metadata/block_size/i1")


def test_metadata_inside_of_a_block_may_leave_lengths_open(tmp_path):
    found = holds_the_volumes(legacy(directory(tmp_path / "a", BRUNOISE), as_flammkuchen_does))
    assert found.shape_block == (4, 3, 8, 9)


def test_metadata_inside_of_a_block_claims_nothing_large(tmp_path):
    def claim(group, name, _):
        group.attrs[name] = 4
        hdf5 = group.file
        if group.name.endswith("full_size") and name == "i3":
            del hdf5[group.name]
            hdf5.create_dataset(group.name, (1 << 60,), "i8", chunks=(1 << 20,))

    with pytest.raises(FormatError, match=r"0002\.h5 has no readable stack_metadata"):
        SplitDataset(legacy(directory(tmp_path / "a", BRUNOISE), claim))


@pytest.mark.parametrize("newer", [2, "2", "1.1", 0, None, [1], 1.0])
def test_metadata_of_a_format_that_is_not_known_asks_for_an_upgrade(tmp_path, newer):
    path = save_to_split_dataset(VOLUMES, tmp_path / "a").root / "stack_metadata.json"
    document = json.loads(path.read_text())
    document["haversack"]["format"] = newer
    path.write_text(json.dumps(document))
    with pytest.raises(NewerFormatError, match="upgrade haversack"):
        SplitDataset(tmp_path / "a")


def compressed(path, data, codes, encode, mask=0):
    """Write a block in one chunk that went through filters which h5py does not have."""
    with h5py.File(path, "w") as hdf5:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk(data.shape)
        for code in codes:
            options = (data.itemsize,) if code == 2 else (9,)
            properties.set_filter(code, h5py.h5z.FLAG_OPTIONAL, options)
        kind, space = h5py.h5t.py_create(data.dtype), h5py.h5s.create_simple(data.shape)
        made = h5py.h5d.create(hdf5.id, b"stack", kind, space, properties)
        planes = np.ascontiguousarray(data).view("u1").reshape(-1, data.itemsize).T
        shuffled = planes.tobytes() if 2 in codes and not mask & 1 else data.tobytes()
        h5py.h5d.DatasetID.write_direct_chunk(made, (0,) * data.ndim, encode(shuffled), mask)


@pytest.mark.parametrize(
    ("codes", "encode", "mask"),
    [
        ([307], bz2.compress, 0),
        ([2, 307], bz2.compress, 0),
        ([2, 307], bz2.compress, 1),
        ([2, 307], bytes, 2),
        ([307], bytes, 1),
    ],
)
def test_bzip2_is_read_without_a_plugin(tmp_path, codes, encode, mask):
    folder = directory(tmp_path / "a", BRUNOISE)
    for number, start in enumerate(range(0, 10, 4)):
        compressed(folder / f"{number:04d}.h5", VOLUMES[start : start + 4], codes, encode, mask)
    holds_the_volumes(folder)


@pytest.mark.parametrize(
    "encode",
    [
        lambda data: bz2.compress(data)[:-9],
        lambda data: bz2.compress(data * 999),
        lambda data: bz2.compress(data[:-2]),
        bytes,
    ],
)
def test_bzip2_that_does_not_hold_its_chunk_is_an_error(tmp_path, encode):
    folder = directory(tmp_path / "a", BRUNOISE)
    compressed(folder / "0000.h5", VOLUMES[:4], [2, 307], encode)
    with pytest.raises(FormatError, match=r"0000\.h5"):
        SplitDataset(folder)[0]
    assert [damage.path.name for damage in SplitDataset(folder).verify()] == ["0000.h5"]


def test_a_filter_that_is_not_here_is_named(tmp_path):
    folder = directory(tmp_path / "a", BRUNOISE)
    compressed(folder / "0000.h5", VOLUMES[:4], [32026], bytes)
    with pytest.raises(UnsupportedError, match=r"0000\.h5 .*filter 32026 .*hdf5plugin"):
        SplitDataset(folder)[0]


@pytest.mark.parametrize("field", ["shape_full", "shape_block"])
@pytest.mark.parametrize("large", [1e30, 10**40, 2**62])
def test_a_number_larger_than_any_length_is_told_as_that(tmp_path, field, large):
    folder = directory(tmp_path / "a", {**BRUNOISE, field: [large, 3, 8, 9]})
    with pytest.raises(FormatError, match=rf"{field} is \[.*, with a number larger than any"):
        SplitDataset(folder)


def test_a_format_that_is_no_number_is_told_as_that(tmp_path):
    folder = directory(tmp_path / "a", {**BRUNOISE, "haversack": {"format": "1"}})
    with pytest.raises(NewerFormatError, match='format that wrote it is "1", no number'):
        SplitDataset(folder)


def test_a_block_of_other_axes_is_told_without_a_dtype_that_is_not_known(tmp_path):
    folder = directory(tmp_path / "a", {**BRUNOISE, "shape_full": [10, 3, 8, 9, 1]})
    with pytest.raises(FormatError, match=r"shape \(4, 3, 8, 9\) in an array with 5 axes"):
        SplitDataset(folder)[0]


@pytest.mark.parametrize("name", ["stack_metadata.json", "0001.h5"])
@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("make", ["mkdir", "mkfifo"])
def test_what_is_no_file_is_told_once(tmp_path, name, ours, make):
    folder = tmp_path / "a"
    if ours:
        save_to_split_dataset(VOLUMES, folder, (4,))
    else:
        directory(folder, BRUNOISE)
    (folder / name).unlink()
    getattr(os, make)(folder / name)
    with pytest.raises(FormatError) as told:
        SplitDataset(folder)[...]
    what = "directory" if make == "mkdir" else "FIFO or a device"
    wrong = f"{folder / name} is no file, but a {what}"
    if not ours or name == "0001.h5":
        assert str(told.value) == wrong
        return
    assert str(told.value).startswith(f"{wrong}. haversack wrote what is there: `haversack repair")
    with pytest.raises(FormatError, match=f"{wrong}: move it elsewhere, and repair again"):
        repair(folder)
    (folder / name).rename(tmp_path / "elsewhere")
    repair(folder, shape=VOLUMES.shape)
    np.testing.assert_array_equal(SplitDataset(folder), VOLUMES)


def test_a_directory_in_the_place_of_a_journal_is_told(tmp_path):
    save_frames(VOLUMES, tmp_path / "a", (5,))
    (tmp_path / "a" / "frames-000002.journal").mkdir()
    with pytest.raises(FormatError, match=r"frames-000002\.journal is no file, but a directory"):
        SplitDataset(tmp_path / "a")


@pytest.mark.parametrize("link", [h5py.SoftLink("/x"), h5py.ExternalLink("other.h5", "/x")])
def test_a_link_that_is_not_followed_is_named(tmp_path, link):
    folder = directory(tmp_path / "a", BRUNOISE)
    with h5py.File(folder / "0000.h5", "w") as hdf5:
        hdf5["x"] = VOLUMES[:4]
        hdf5["stack_4D"] = link
    with pytest.raises(FormatError, match=r"0000\.h5 has no array .*'stack_4D' is a link"):
        SplitDataset(folder)[0]


def test_chunks_that_are_too_large_say_how_large_they_may_be(tmp_path, monkeypatch):
    monkeypatch.setattr(chunk, "LARGEST_CHUNK", 800)
    folder = directory(tmp_path / "a", BRUNOISE, chunks=(2, 3, 8, 9))
    with pytest.raises(FormatError, match=r"864 bytes, where 1 to 800 .*smaller.*h5repack"):
        SplitDataset(folder)[0]
