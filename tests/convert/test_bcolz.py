"""Directories of the old storage API become DiskDatasets: every image, and nothing made up."""

import json
import shutil
import struct

import numpy as np
import pytest
from numcodecs import blosc

import haversack
from haversack.cli.main import run
from haversack.convert import import_bcolz
from haversack.convert.carray import read_carray
from haversack.errors import ExistsError, FormatError, PathNotFoundError, UnsupportedError

HEADER = struct.Struct("<4sB3xq")


def write_carray(root, array, chunklen=7, cname="lz4"):
    """Write an array as bcolz does."""
    for folder in ("meta", "data", "__attrs__"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    dtype = array.dtype.str if array.dtype.str[0] == ">" or array.dtype.kind in "SU" else None
    storage = {
        "dtype": dtype or array.dtype.name,
        "cparams": {"clevel": 5, "shuffle": 1, "cname": cname, "quantize": 0},
        "chunklen": chunklen,
        "expectedlen": len(array),
        "dflt": 0,
    }
    (root / "meta" / "storage").write_text(json.dumps(storage))
    sizes = {"shape": list(array.shape), "nbytes": array.nbytes, "cbytes": array.nbytes}
    (root / "meta" / "sizes").write_text(json.dumps(sizes))
    for number, start in enumerate(range(0, len(array), chunklen)):
        part = np.ascontiguousarray(array[start : start + chunklen])
        data = HEADER.pack(b"blpk", 1, 1) + blosc.compress(part, cname.encode(), 5, 1)
        (root / "data" / f"__{number}.blp").write_bytes(data)


def write_old(base, images):
    """Write a dataset: (location, source) -> (array, metadata)."""
    base.mkdir(exist_ok=True)
    for (location, source), (array, _) in images.items():
        write_carray(base / f"{location}/{source}", array)
    write_table(base, [(*ids, metadata) for ids, (_, metadata) in images.items()])


def write_table(base, rows):
    names = ("location_id", "source_id", "metadata")
    table = {name: {str(n): row[at] for n, row in enumerate(rows)} for at, name in enumerate(names)}
    (base / "metadata.json").write_text(json.dumps(table))


IMAGES = {
    ("mine_1", "landsat8"): (np.random.default_rng(0).random((20, 5, 3, 2)), {"bands": ["B1"]}),
    ("mine_0", "landsat8"): (np.arange(14, dtype=">u2").reshape(7, 2), {"at": None}),
    ("mine_0", "mask"): (np.ones((15, 4), "?"), {}),
    ("a/b", "c d"): (np.zeros((0, 3), "f4"), {"location_id": "x"}),
    ("é 漢", "s/t"): (np.array([7.5]), None),
    ("text", "s"): (np.array([b"abc", b"d"]), {}),
    ("unicode", "s"): (np.array(["abc", "€"]), {}),
}


@pytest.fixture
def old(tmp_path):
    write_old(tmp_path / "old", IMAGES)
    return tmp_path / "old"


def test_an_old_directory_is_taken_over_whole(old, tmp_path):
    before = {path: path.read_bytes() for path in old.rglob("*") if path.is_file()}
    seen: list[haversack.events.Event] = []
    made = import_bcolz(old, tmp_path / "new", codec="zstd", progress=seen.append)
    assert (made.images, made.missing, made.damaged) == (len(IMAGES), [], [])
    assert seen[-1].done == len(IMAGES)
    for ids, (array, metadata) in IMAGES.items():
        found = made.dataset.load_image(*ids)
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found, array)
        about = made.dataset.image_metadata(*ids)
        assert about is not None
        assert about["metadata"] == (metadata or {})
    assert [about["location_id"] for _, about in made.dataset.load_images("landsat8")] == [
        "mine_0",
        "mine_1",
    ]
    assert {path: path.read_bytes() for path in before} == before
    with pytest.raises(ExistsError):
        import_bcolz(old, tmp_path / "new")


@pytest.mark.parametrize("cname", ["blosclz", "lz4", "lz4hc", "zlib", "zstd"])
@pytest.mark.parametrize("rows", [1, 7, 8, 700])
def test_every_compressor_and_length_reads_back(tmp_path, cname, rows):
    array = np.arange(rows * 6, dtype="i4").reshape(rows, 2, 3)
    write_carray(tmp_path / "a", array, cname=cname)
    np.testing.assert_array_equal(read_carray(tmp_path / "a"), array)


def test_rows_without_images_and_images_without_rows_are_told(old, tmp_path):
    rows = [(*ids, metadata) for ids, (_, metadata) in IMAGES.items()]
    gone = [("phantom", "s", {}), ("x" * 5000, "s", {}), ("mine_0/mask", "none", {})]
    write_table(old, [*rows[:-1], *gone])
    made = import_bcolz(old, tmp_path / "new")
    assert made.images == len(rows) - 1
    assert made.damaged == []
    told = [str(each) for each in made.missing]
    assert len(told) == 4
    assert sum("row without an image" in each for each in told) == 3
    assert told[-1].endswith("unicode/s: an image without a row")


def test_no_id_reaches_out_of_the_directory(old, tmp_path):
    write_carray(tmp_path / "secret" / "s", np.array([1, 2]))
    rows = [
        ("../secret", "s", {}),
        ("x/../../secret", "s", {}),
        (str(tmp_path / "secret"), "s", {}),
        ("", "s", {}),
        ("nul\0", "s", {}),
        ("\udc80", "s", {}),
        (None, "s", {}),
        ([1], "s", {}),
        ("mine_0", "mask", {}),
    ]
    write_table(old, rows)
    made = import_bcolz(old, tmp_path / "new")
    assert made.images == 1
    assert len(made.damaged) == len(rows) - 1
    assert "lies outside" in str(made.damaged[0])
    assert "location '../secret'" in str(made.damaged[0])


def test_the_last_row_of_a_place_has_its_image(tmp_path):
    base = tmp_path / "old"
    write_old(base, {("a/b", "c"): (np.array([1]), {}), ("a", "b/c"): (np.array([2]), {"n": 2})})
    made = import_bcolz(base, tmp_path / "new")
    assert made.images == 1
    assert made.dataset.load_image("a", "b/c").tolist() == [2]
    (damage,) = made.damaged
    assert "location 'a/b', source 'c': location 'a', source 'b/c' was written over it" in str(
        damage
    )


def test_numbers_become_text_and_odd_metadata_is_kept(tmp_path):
    write_old(tmp_path / "old", {(7, 8.5): (np.array([1]), ["a", 1])})
    made = import_bcolz(tmp_path / "old", tmp_path / "new")
    about = made.dataset.image_metadata("7", "8.5")
    assert about is not None
    assert about["metadata"] == {"metadata": ["a", 1]}


def edit(root, name, **changes):
    path = root / "meta" / name
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def cut(path, size):
    path.write_bytes(path.read_bytes()[:size])


def patch(path, at, data):
    old = bytearray(path.read_bytes())
    old[at : at + len(data)] = data
    path.write_bytes(old)


CHUNK = "data/__1.blp"
DAMAGE = {
    "no sizes": lambda root: (root / "meta" / "sizes").unlink(),
    "half of storage": lambda root: cut(root / "meta" / "storage", 20),
    "storage is a list": lambda root: (root / "meta" / "storage").write_text("[]"),
    "no chunk": lambda root: (root / CHUNK).unlink(),
    "empty chunk": lambda root: cut(root / CHUNK, 0),
    "half a header": lambda root: cut(root / CHUNK, 20),
    "cut chunk": lambda root: cut(root / CHUNK, 60),
    "other magic": lambda root: patch(root / CHUNK, 0, b"x"),
    "other version": lambda root: patch(root / CHUNK, 4, b"\2"),
    "many chunks": lambda root: patch(root / CHUNK, 8, b"\2"),
    "other bytes": lambda root: patch(root / CHUNK, 20, b"\xff\xff\xff\x7f"),
    "other encoded bytes": lambda root: patch(root / CHUNK, 28, b"\xff\xff\xff\x7f"),
    "garbage": lambda root: patch(root / CHUNK, 32, b"\xff" * 40),
    "huge shape": lambda root: edit(root, "sizes", shape=[1 << 40, 5, 3, 2]),
    "huge rows": lambda root: edit(root, "sizes", shape=[1 << 62, 1 << 62]),
    "large shape": lambda root: edit(root, "sizes", shape=[4_000_000, 5, 3, 2]),
    "negative": lambda root: edit(root, "sizes", shape=[-1, 5, 3, 2]),
    "no shape": lambda root: edit(root, "sizes", shape=[]),
    "shape of text": lambda root: edit(root, "sizes", shape="20"),
    "shape of floats": lambda root: edit(root, "sizes", shape=[20.0, 5, 3, 2]),
    "shape of bools": lambda root: edit(root, "sizes", shape=[True]),
    "other shape": lambda root: edit(root, "sizes", shape=[19, 5, 3, 2]),
    "no chunklen": lambda root: edit(root, "storage", chunklen=0),
    "huge chunklen": lambda root: edit(root, "storage", chunklen=1 << 70),
    "small chunklen": lambda root: edit(root, "storage", chunklen=1),
    "objects": lambda root: edit(root, "storage", dtype="object"),
    "structure": lambda root: edit(root, "storage", dtype="[('x', '<f8')]"),
    "void": lambda root: edit(root, "storage", dtype="V8"),
    "no dtype": lambda root: edit(root, "storage", dtype="f99"),
    "code": lambda root: edit(root, "storage", dtype="__import__('os')"),
    "dtype of numbers": lambda root: edit(root, "storage", dtype=7),
    "huge dtype": lambda root: edit(root, "storage", dtype="S999999999"),
    "other dtype": lambda root: edit(root, "storage", dtype="f4"),
    "a folder for a file": lambda root: ((root / CHUNK).unlink(), (root / CHUNK).mkdir()),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_image_is_told_and_the_others_come(old, tmp_path, what):
    bad = ("mine_1", "landsat8")
    root = old / "mine_1" / "landsat8"
    DAMAGE[what](root)
    with pytest.raises((FormatError, UnsupportedError), match="mine_1"):
        read_carray(root)
    made = import_bcolz(old, tmp_path / "new")
    assert made.images == len(IMAGES) - 1
    assert made.missing == []
    (damage,) = made.damaged
    assert "location 'mine_1', source 'landsat8'" in str(damage)
    assert not made.dataset.has_image(*bad)
    assert made.dataset.verify() == []


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"location_id": [], "source_id": {}, "metadata": {}}', "[" * 9999],
)
def test_a_damaged_table_is_an_error_and_nothing_is_made(old, tmp_path, text):
    (old / "metadata.json").write_text(text)
    with pytest.raises(FormatError, match=r"metadata\.json"):
        import_bcolz(old, tmp_path / "new")
    with pytest.raises(PathNotFoundError, match=r"metadata\.json"):
        import_bcolz(tmp_path / "none", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_opening_an_old_directory_says_how_to_take_it_over(old):
    for opened in (haversack.open, haversack.DiskDataset):
        with pytest.raises(FormatError, match="haversack convert .*old NEW"):
            opened(old)


def test_convert_takes_over_an_old_directory(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    base = tmp_path / "old"
    write_old(base, {("mine", f"s{n}"): (np.full((9, 2), n), {"n": n}) for n in range(3)})
    assert run(["convert", "old", "new", "-q", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["images"], told["missing"], told["damaged"]) == (3, [], [])
    assert haversack.open("new").load_image("mine", "s2").tolist() == [[2, 2]] * 9
    cut(base / "mine" / "s1" / "data" / "__0.blp", 0)
    shutil.rmtree(base / "mine" / "s0")
    assert run(["convert", "old", "partly", "-q", "--codec", "zstd"]) == 7
    said = capfd.readouterr().err
    assert "left out: old/mine/s0: location 'mine', source 's0': a row without" in said
    assert "1 images of old could not be taken over; all others are in partly" in said
    assert len(haversack.DiskDataset("partly")) == 1
    assert run(["convert", "old", "other", "-q", "--dtype", "uint8"]) == 2
