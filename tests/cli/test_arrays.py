"""Look at split arrays, convert them and draw them by typing."""

import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

import haversack as library
from haversack import FrameWriter, PackWriter
from haversack.split import SplitDataset, save_to_split_dataset


@pytest.fixture
def volumes():
    return np.arange(6 * 3 * 8 * 9, dtype="u2").reshape(6, 3, 8, 9)


@pytest.fixture
def typed(haversack, volumes):
    save_to_split_dataset(volumes, "series", (4, None, None, None), frequency=2)
    return haversack


def test_a_part_is_described_or_saved(typed, volumes):
    about = json.loads(typed("info", "series", "--json").out)
    assert (about["shape"], about["frequency"]) == ([6, 3, 8, 9], 2)
    found = json.loads(typed("read", "series", "5, 1, ::-3, 4", "--json").out)
    expected = volumes[5, 1, ::-3, 4]
    assert found["values"] == expected.tolist()
    assert (found["min"], found["max"]) == (expected.min(), expected.max())
    whole = json.loads(typed("read", "series", "--json").out)
    assert (whole["shape"], whole["mean"]) == ([6, 3, 8, 9], volumes.mean())
    assert typed("read", "series", "..., 2", "--out", "part.npy").code == 0
    np.testing.assert_array_equal(np.load("part.npy"), volumes[..., 2])
    assert typed("read", "series", "0", "--out", "part.npy").code == 6


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("[1,2]", [1, 2]),
        ("[ 3, -1 ],:,3", ([3, -1], slice(None), 3)),
        ("..., [0,7],2:5:2", (..., [0, 7], slice(2, 5, 2))),
        ("[1,2,0], 1, [4, 5, 6]", ([1, 2, 0], 1, [4, 5, 6])),
        ("[4],[2],[7],[8]", ([4], [2], [7], [8])),
        ("[3, 1,]", [3, 1]),
        ("5, [1],", (5, [1])),
        (f"[1], 0:{10**30}", ([1], slice(0, 10**30))),
        (f"[1], :, {-(10**40)}::{10**30}", ([1], slice(None), slice(-(10**40), None, 10**30))),
    ],
)
def test_a_list_in_an_index_takes_what_numpy_takes(typed, volumes, text, index):
    result = typed("read", "series", text, "--out", "part.npy", "--json")
    assert result.code == 0, result.err
    np.testing.assert_array_equal(np.load("part.npy"), volumes[index], strict=True)
    about = json.loads(result.out)
    expected = volumes[index]
    assert (about["shape"], about["dtype"]) == (list(expected.shape), "uint16")
    assert (about["min"], about["mean"]) == (expected.min(), pytest.approx(expected.mean()))
    assert typed("read", "series", text, "--out", "part.npy").code == 6


@pytest.mark.parametrize(
    "index", ["", " ", ",", "5,,3", "3,,", ", 3", ",,,5", "[]", "[1,,]", "[,1]"]
)
@pytest.mark.parametrize("verb", [("read",), ("view", "--out", "a.png")])
def test_an_empty_place_in_an_index_is_never_passed_over(typed, verb, index):
    result = typed(verb[0], "series", index, *verb[1:])
    assert (result.code, f"{index!r} is no index" in result.err) == (2, True)


@pytest.mark.parametrize("index", ["[5, :, 3]", "[[1, 2]]", "[1, 2", "1, 2]", "[1:2]", "[...]"])
def test_brackets_in_an_index_are_those_of_a_list_of_integers(typed, index):
    result = typed("read", "series", index)
    assert (result.code, f"{index!r} is no index" in result.err) == (2, True)


def test_an_integer_of_many_digits_is_out_of_bounds_as_others_are(typed):
    for index in (str(10**30), str(-(10**30)), f"0, {10**200},"):
        result = typed("read", "series", index)
        assert (result.code, "out of bounds" in result.err) == (2, True), result.err
    assert typed("read", "series", "9" * 5000).code == 2
    assert json.loads(typed("read", "series", "5,", "--json").out)["shape"] == [3, 8, 9]


@pytest.mark.parametrize("length", ["\u00b2,3", "9" * 5000, "\u0663"])
def test_a_length_that_is_no_number_is_wrong_use(typed, length):
    result = typed("convert", "series", "new", "--to", "split", "--block", length)
    assert (result.code, "--block takes lengths" in result.err) == (2, True)


def test_a_key_of_many_digits_is_not_found(haversack):
    library.pack([(np.arange(3), {"n": 1})], "packed")
    for key in ("\u00b2", str(10**30), "9" * 5000):
        assert haversack("read", "packed", key).code == 3, key
    assert haversack("info", "packed", "--version", "9" * 5000).code == 3


def test_a_column_that_no_record_has_is_refused_with_those_that_there_are(haversack):
    library.pack([(np.arange(3), {"n": 1, "_own": 2}), (np.arange(3), {"m": 1})], "packed")
    for more in ((), ("--json",), ("--limit", "0")):
        result = haversack("read", "packed", "--columns", "n,nope", *more)
        assert (result.code, result.out) == (2, "")
        assert "no record has 'nope'; the columns are: n, m" in result.err
    for columns in ("n", "m,n", "_own,shape"):
        assert haversack("read", "packed", "--columns", columns).code == 0


def test_what_is_empty_not_there_or_not_named_has_the_codes_of_the_table(haversack, tmp_path):
    with h5py.File("two.h5", "w") as file:
        file["a"], file["b"] = np.ones(3), np.ones(3)
    h5py.File("none.h5", "w").close()
    PackWriter("packed").close()
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.tif").write_bytes(b"junk")
    np.save("object.npy", np.array([{}]), allow_pickle=True)
    for source, code, *more in (
        ("packed", 3),
        ("empty", 3),
        ("none.h5", 3),
        ("two.h5", 2),
        ("two.h5", 3, "--dataset", "g/x"),
        ("a.tif", 7),
        ("object.npy", 2),
    ):
        result = haversack("convert", source, "new", "--to", "split", *more)
        assert result.code == code, (source, result.err)
        assert not (tmp_path / "new").exists()


def test_a_picture_of_what_a_list_takes_is_refused(typed, tmp_path):
    result = typed("view", "series", "[1,2], 1", "--out", "a.png")
    assert (result.code, "integers and slices only" in result.err) == (2, True)
    assert not (tmp_path / "a.png").exists()


@pytest.mark.parametrize(
    "index",
    ["9", "a", "1:2:0", "0,0,0,0,0", "__import__('os')", "1:2:3:4", "[9]", "[1],[1,2],[1,2,3]"],
)
def test_an_index_that_does_not_fit_is_one_clear_line(typed, index):
    result = typed("read", "series", index)
    assert (result.code, len(result.err.splitlines())) == (2, 1)


def test_arrays_are_converted_there_and_back(typed, volumes):
    assert typed("convert", "series", "a.npy", "--to", "npy", "-q").code == 0
    np.testing.assert_array_equal(np.load("a.npy"), volumes)
    made = typed(
        "convert", "a.npy", "new", "--to", "split", "--block", "2,-,-,5", "--layout", "traces", "-q"
    )
    assert made.code == 0, made.err
    found = SplitDataset("new")
    assert (found.shape_block, found.coding.layout) == ((2, 3, 8, 5), "traces")
    np.testing.assert_array_equal(found, volumes)
    for wrong in (
        ("--to", "split", "--block", "x"),
        ("--to", "npy", "--block", "2"),
        ("--to", "hdf5", "--dtype", "u1"),
    ):
        assert typed("convert", "series", "other", *wrong).code == 2
    assert typed("convert", "a.npy", "new", "--to", "split").code == 6


def test_damage_is_named_by_verify(typed):
    assert typed("verify", "series", "-q").code == 0
    path = SplitDataset("series").files.flat[1]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    result = typed("verify", "series", "--json", "-q")
    assert result.code == 7
    assert [row["path"] for row in json.loads(result.out)] == ["series/0001.h5"]


def test_planes_and_traces_become_pictures(typed, tmp_path):
    pytest.importorskip("matplotlib")
    for index, more in (("3, 1", ()), (":, 1, 2, 3", ()), ("...", ("--project", "max"))):
        result = typed("view", "series", index, *more, "--out", "picture.png")
        assert result.code == 0, result.err
        assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
        (tmp_path / "picture.png").unlink()
    assert typed("view", "series", "77", "--out", "picture.png").code == 2


@pytest.mark.parametrize("name", ["\u65e5\u672c $x_{", "huge"])
def test_nothing_is_said_of_a_picture_but_where_it_is(haversack, name):
    pytest.importorskip("matplotlib")
    save_to_split_dataset(np.full((3, 2, 2), 1e308), name)
    for more in ((), ("--project", "sum"), ("--project", "std")):
        result = haversack("view", name, *more, "--out", "picture.png")
        assert (result.code, result.err) == (0, "wrote picture.png\n")
        Path("picture.png").unlink()
    assert "inf" in haversack("read", name).out


def test_a_picture_never_takes_the_place_of_a_file(typed, tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "mine.png").write_bytes(b"mine")
    result = typed("view", "series", "3, 1", "--out", "mine.png")
    assert (result.code, (tmp_path / "mine.png").read_bytes()) == (6, b"mine")
    assert "mine.png already exists" in result.err


@pytest.mark.parametrize(
    "arguments",
    [("-1, 1, ::-3, 4",), ("-1,1,::-3,4", "--json"), ("--json", "--", "-1, 1, ::-3, 4")],
)
def test_an_index_may_begin_with_a_minus_sign(typed, volumes, arguments):
    result = typed("read", "series", *arguments)
    assert result.code == 0, result.err
    assert f"{volumes[-1, 1, ::-3, 4].max()}" in result.out
    assert typed("read", "series", "-2:", "--out", "part.npy").code == 0
    np.testing.assert_array_equal(np.load("part.npy"), volumes[-2:])


@pytest.mark.parametrize("wrong", ["--colums", "-x", "-z1", "--1", "-"])
def test_an_option_that_is_mistyped_is_not_taken_for_an_index(typed, wrong):
    for arguments in (("read", "series", wrong), ("view", "series", wrong, "--out", "a.png")):
        result = typed(*arguments)
        assert result.code == 2
        assert "No such option" in result.err or wrong == "-"


def test_options_that_would_do_nothing_are_refused(typed, volumes):
    for option in (("--where", "x < 1"), ("--columns", "x"), ("--limit", "0")):
        result = typed("read", "series", "5", *option)
        assert (result.code, len(result.err.splitlines())) == (2, 1)
        assert f"{option[0]} is for packed datasets; series is a split array" in result.err
    with PackWriter("chips") as writer:
        for number, volume in enumerate(volumes):
            writer.append(volume, key=f"k{number}", cloud=number, place="here")
    result = typed("read", "chips", "k1", "--columns", "cloud", "--limit", "3")
    assert (result.code, "--columns and --limit are for lists" in result.err) == (2, True)
    assert typed("read", "chips", "k1", "--where", "cloud = 1").code == 0
    assert typed("read", "chips", "-1").code == 0
    rows = json.loads(typed("read", "chips", "--columns", "cloud", "--json", "--limit", "2").out)
    assert [row["cloud"] for row in rows] == [0, 1]
    assert "place" not in rows[0]


def test_a_projection_of_nothing_is_refused(typed, tmp_path):
    pytest.importorskip("matplotlib")
    for index in (":,1,3,4", "0, 1"):
        result = typed("view", "series", index, "--project", "max", "--out", "a.png")
        assert (result.code, "nothing to project" in result.err) == (2, True)
    assert not (tmp_path / "a.png").exists()
    assert typed("view", "series", "-1", "--project", "max", "--out", "a.png").code == 0


@pytest.mark.parametrize("shape", [(1 << 12, 1 << 18), (3, 1 << 26, 1 << 26), (1 << 50,)])
def test_no_claim_of_a_file_ends_in_a_traceback(typed, tmp_path, shape):
    pytest.importorskip("matplotlib")
    (tmp_path / "hollow").mkdir()
    with h5py.File(tmp_path / "hollow" / "0000.h5", "w") as hdf5:
        chunks = tuple(min(length, 1 << 12) for length in shape)
        hdf5.create_dataset("stack", shape, "u1", chunks=chunks)
    about = json.dumps({"shape_full": shape, "shape_block": shape})
    (tmp_path / "hollow" / "stack_metadata.json").write_text(about)
    (tmp_path / "false").mkdir()
    (tmp_path / "false" / "stack_metadata.json").write_text(about)
    with h5py.File(tmp_path / "false" / "0000.h5", "w") as hdf5:
        hdf5["stack"] = np.zeros((4,) * len(shape), "u1")
    assert typed("info", "hollow").code == 0
    assert typed("verify", "hollow", "-q").code == 0
    assert typed("read", "hollow", ", ".join(["-1"] * len(shape))).code == 0
    assert typed("view", "hollow", "..., :30", "--out", "a.png").code == 0
    assert typed("verify", "false", "-q").code == 7
    for arguments in (("read", "false"), ("view", "false", "--out", "b.png")):
        result = typed(*arguments)
        assert (result.code, len(result.err.splitlines())) == (7, 1)


def test_the_arrays_of_a_file_are_named_and_one_is_chosen(typed, volumes):
    with h5py.File("rec.h5", "w") as hdf5:
        hdf5["left"], hdf5["right"] = volumes, volumes + 1
    result = typed("convert", "rec.h5", "new", "--to", "split")
    assert (result.code, "left, right" in result.err, "dataset" in result.err) == (2, True, True)
    assert typed("convert", "rec.h5", "new", "--to", "split", "--dataset", "right").code == 0
    np.testing.assert_array_equal(SplitDataset("new"), volumes + 1)
    assert typed("convert", "series", "b.npy", "--to", "npy", "--dataset", "right").code == 2


@pytest.mark.parametrize("source", ["series", "a.npy", "a.tif", "tiffs", "chips", "a.zarr"])
def test_a_name_is_refused_where_one_array_has_none(typed, tmp_path, volumes, source):
    if source == "a.npy":
        np.save(source, volumes)
    elif source == "a.zarr":
        pytest.importorskip("zarr").save_array(source, volumes)
    elif source == "chips":
        library.pack([(volumes, {})], source)
    elif source != "series":
        image = pytest.importorskip("PIL.Image").fromarray(volumes[0, 0])
        (tmp_path / "tiffs").mkdir()
        image.save("tiffs/a.tif" if source == "tiffs" else source)
    result = typed("convert", source, "new", "--to", "split", "--dataset", "nonsense")
    assert (result.code, len(result.err.splitlines())) == (2, 1)
    assert "'nonsense'" in result.err
    assert "leave it out" in result.err
    assert not (tmp_path / "new").exists()
    assert typed("convert", source, "new", "--to", "split").code == 0


@pytest.mark.parametrize("option", ["--block", "--dataset"])
def test_an_option_of_a_variable_without_a_value_is_refused(typed, tmp_path, option):
    result = typed("convert", "series", "new", "--to", "split", option, "")
    assert (result.code, "it is empty" in result.err) == (2, True)
    assert typed("convert", "series", "new", "--to", "split", "--block", "2,,3").code == 2
    assert not (tmp_path / "new").exists()


def test_messages_say_what_is_to_be_given(typed, tmp_path, volumes):
    np.save("a.npy", volumes)
    result = typed("read", "series", "--out", "b.npy")
    assert (result.code, "name one too, such as 0" in result.err) == (2, True)
    result = typed("convert", "a.npy", "new")
    assert (result.code, "give --to split" in result.err) == (2, True)
    assert typed("convert", "nothing.npy", "new").code == 3
    result = typed("convert", "a.npy", "new", "--to", "split", "--block", "-,-,-,-,-")
    assert result.code == 2
    assert result.err.endswith("is not a number >= 1, or None, for each of 4 axes\n")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("to", [(), ("--to", "packed"), ("--to", "acumen")])
def test_a_split_array_that_is_to_become_packed_is_told_what_it_can_become(typed, to):
    result = typed("convert", "series", "new", *to)
    assert (result.code, "--to split, npy" in result.err) == (2, True)


@pytest.mark.parametrize("name", ["x.jpg", "x", "png"])
def test_a_picture_has_the_suffix_of_what_it_is(typed, tmp_path, name):
    result = typed("view", "series", "3, 1", "--out", name)
    assert (result.code, ".png" in result.err) == (2, True)
    assert not (tmp_path / name).exists()


def test_json_of_a_path_that_is_no_text_is_json(typed, tmp_path):
    name = os.fsdecode(b"caf\xe9")
    try:
        (tmp_path / "series").rename(tmp_path / name)
    except OSError:
        pytest.skip("a file system of Unicode names")
    shown = typed("info", name, "--json")
    assert json.loads(shown.out.encode("ascii", "strict"))["path"] == name


def test_damage_of_a_journal_names_its_file_once(typed):
    with FrameWriter("live", block_size=(4, None)) as writer:
        for number in range(3):
            writer.append(np.full(200, number))
        (journal,) = writer.path.glob("*.journal")
        data = bytearray(journal.read_bytes())
        data[len(data) * 5 // 8] ^= 1
        shutil.copytree("live", "copy")
    damaged = Path("copy", journal.name)
    damaged.write_bytes(data)
    result = typed("verify", "copy", "-q")
    assert result.code == 7
    assert max(line.count(damaged.name) for line in result.out.splitlines()) == 1
