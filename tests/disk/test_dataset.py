"""Images go in and come out by place and source, whatever the ids are."""

import json
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haversack.disk import DiskDataset, LockTimeoutException, is_disk
from haversack.errors import (
    ExistsError,
    FormatError,
    IntegrityError,
    KeyExistsError,
    NewerFormatError,
    PositionError,
    RecordNotFoundError,
    UnsupportedError,
    UsageError,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ODD = [
    "",
    "../../x",
    "a/b",
    "a",
    "b/c",
    "c",
    "metadata.json",
    "disk.json",
    ".",
    "x" * 5000,
    "Ünïcode 漢字 🚀",
    "nul\x00byte",
    "line\nbreak",
    '"quoted", [1]',
    "CON",
]


def test_the_old_readme_runs_with_the_import_changed(tmp_path):
    import haversack.disk as storage

    dataset = storage.DiskDataset(tmp_path / "data_directory")
    for i in range(5):
        location_id = f"mine_site_{i}"
        source_id = "landsat8_32day"
        image = np.random.rand(100, 100, 3, 2)  # noqa: NPY002 (the document's words)
        metadata = {"bands": ["B1", "B2", "B3"], "dates": ["20150101", "20150202"]}
        dataset.add_image(location_id, source_id, image, metadata)
    listed = dataset.metadata()
    assert isinstance(listed, pd.DataFrame)
    assert list(listed.columns) == ["location_id", "source_id", "metadata"]
    assert len(listed) == 5
    assert dataset.load_image("mine_site_2", "landsat8_32day").shape == (100, 100, 3, 2)
    for number, (image, about) in enumerate(dataset.load_images("landsat8_32day")):
        assert isinstance(image, np.ndarray)
        assert about["location_id"] == f"mine_site_{number}"
        assert about["source_id"] == "landsat8_32day"
        assert about["metadata"] == metadata


def packed(dataset):
    """The packed dataset, which is there."""
    images = dataset.images()
    assert images is not None
    return images


@pytest.fixture
def dataset(tmp_path):
    return DiskDataset(tmp_path / "images")


def test_nothing_is_created_until_the_first_image(dataset, tmp_path):
    assert dataset.metadata().columns.tolist() == ["location_id", "source_id", "metadata"]
    assert len(dataset.metadata()) == len(dataset) == 0
    assert not dataset.has_image("a", "b")
    assert dataset.image_metadata("a", "b") is None
    assert list(dataset.load_images("b")) == []
    assert dataset.verify() == []
    with pytest.raises(RecordNotFoundError):
        dataset.remove_image("a", "b")
    assert list(tmp_path.iterdir()) == []
    dataset.add_image("a", "b", np.zeros(1))
    assert is_disk(tmp_path / "images")
    assert len(dataset) == 1


def test_any_ids_are_kept_apart_and_inside_the_directory(dataset, tmp_path):
    pairs = [(one, two) for one in ODD for two in ("s", one)]
    for number, (location, source) in enumerate(pairs):
        dataset.add_image(location, source, np.array(number), {"id": location})
    assert [path.name for path in tmp_path.iterdir()] == ["images"]
    for number, (location, source) in enumerate(pairs):
        assert dataset.load_image(location, source) == number
        about = dataset.image_metadata(location, source)
        assert about is not None
        assert (about["location_id"], about["metadata"]) == (location, {"id": location})
    assert len(dataset.metadata()) == len(pairs)
    assert {about["location_id"] for _, about in dataset.load_images("s")} == set(ODD)
    assert not dataset.has_image("a/b", "b/c")


@settings(max_examples=20)
@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from(["a", "a/b", ""]), st.sampled_from(["c", "b/c"])),
        max_size=10,
    )
)
def test_a_dataset_is_what_a_dict_would_be(tmp_path_factory, steps):
    dataset = DiskDataset(tmp_path_factory.mktemp("model") / "set")
    model = {}
    for step, (is_removal, location, source) in enumerate(steps):
        key = (location, source)
        try:
            if is_removal:
                dataset.remove_image(location, source)
            else:
                dataset.add_image(location, source, np.full(2, step))
        except RecordNotFoundError:
            assert is_removal
            assert key not in model
            continue
        except KeyExistsError:
            assert not is_removal
            assert key in model
            continue
        assert (key in model) == is_removal
        model.pop(key) if is_removal else model.update({key: step})
        assert dataset.has_image(location, source) != is_removal
    again = DiskDataset(dataset.base_dir)
    for source in ("c", "b/c"):
        found = [
            (about["location_id"], int(image[0])) for image, about in again.load_images(source)
        ]
        assert found == sorted((loc, step) for (loc, src), step in model.items() if src == source)


def test_dtype_shape_and_metadata_come_back_exactly(dataset):
    metadata = {
        "label": "007",
        "day": date(2020, 1, 2),
        "box": (1, 2.5, None),
        "deep": {"a": [b"x"]},
    }
    images = [np.zeros((0, 3), ">u2"), np.array(1.5), np.ones((2, 3, 4), "?"), np.zeros(3, "M8[s]")]
    for number, image in enumerate(images):
        dataset.add_image(str(number), "s", image, metadata)
        found = dataset.load_image(str(number), "s")
        assert (found.dtype, found.shape) == (image.dtype, image.shape)
        np.testing.assert_array_equal(found, image)
        assert found.flags.writeable
    assert dataset.metadata()["metadata"].tolist() == [metadata] * 4
    dataset.add_image("none", "s", images[0])
    assert dataset.metadata()["metadata"].tolist()[-1] == {}


def test_errors_name_the_ids(dataset):
    dataset.add_image("mine", "landsat8", np.zeros(2))
    with pytest.raises(KeyExistsError, match="location 'mine', source 'landsat8'"):
        dataset.add_image("mine", "landsat8", np.ones(2))
    with pytest.raises(RecordNotFoundError, match="location 'mine', source 'spot'"):
        dataset.load_image("mine", "spot")
    with pytest.raises(RecordNotFoundError, match=r"location 'x{99}.*\(5000 characters\)"):
        dataset.remove_image("x" * 5000, "spot")
    with pytest.raises(UnsupportedError, match="location_id is text, not 7"):
        dataset.has_image(7, "landsat8")
    with pytest.raises(UnsupportedError):
        dataset.add_image("objects", "s", np.array([{}]))
    assert dataset.load_image("mine", "landsat8").tolist() == [0, 0]
    assert len(dataset) == 1


def test_a_removed_image_can_be_added_anew(dataset):
    for value in range(4):
        dataset.add_image("a", "s", np.array(value))
        assert dataset.load_image("a", "s") == value
        dataset.remove_image("a", "s")
        assert not dataset.has_image("a", "s")
    assert len(dataset.metadata()) == 0


def test_iteration_keeps_to_the_images_of_its_beginning(dataset):
    for name in "cab":
        dataset.add_image(name, "s", np.array(0))
    rest = dataset.load_images("s")
    assert next(rest)[1]["location_id"] == "a"
    dataset.remove_image("b", "s")
    dataset.add_image("d", "s", np.array(0))
    assert [about["location_id"] for _, about in rest] == ["b", "c"]
    assert [about["location_id"] for _, about in dataset.load_images("s")] == ["a", "c", "d"]


def test_ids_that_are_no_text_are_refused_everywhere(dataset):
    dataset.add_image("a", "s", np.array(0))
    wrong: list[Any] = [("\udcff", "s"), ("a", "x\ud800"), (None, "s"), ("a", b"s")]
    for ids in wrong:
        for call in (dataset.has_image, dataset.load_image, dataset.remove_image):
            with pytest.raises(UnsupportedError, match=r"(location|source)_id"):
                call(*ids)
        with pytest.raises(UnsupportedError):
            dataset.add_image(*ids, np.array(1))
        with pytest.raises(UnsupportedError, match="image 0"):
            dataset.add_images([(*ids, np.array(1))])
    with pytest.raises(UnsupportedError):
        list(dataset.load_images("\udcff"))
    with pytest.raises(UsageError, match="list of texts"):
        dataset.images("s", locations="a")
    assert len(dataset) == 1


@settings(max_examples=30)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=12, unique=True))
def test_any_text_comes_back_as_it_was(tmp_path_factory, pairs):
    root = tmp_path_factory.mktemp("any")
    with DiskDataset(root / "set") as dataset:
        half = len(pairs) // 2
        dataset.add_images((*ids, np.array(n)) for n, ids in enumerate(pairs[:half]))
        for number, ids in enumerate(pairs[half:], half):
            dataset.add_image(ids[0], ids[1], np.array(number))
        listed = dataset.metadata()
        found = list(zip(listed["location_id"], listed["source_id"], strict=True))
        assert found == pairs
        for number, ids in enumerate(pairs):
            assert dataset.load_image(*ids) == number
        for source in {source for _, source in pairs}:
            mine = [about["location_id"] for _, about in dataset.load_images(source)]
            assert mine == sorted(location for location, other in pairs if other == source)
    assert [path.name for path in root.iterdir()] == ["set"]


def test_nothing_waits_whatever_lock_timeout_sec_says(dataset):
    assert issubclass(LockTimeoutException, TimeoutError)
    hurried = DiskDataset(dataset.base_dir, lock_timeout_sec=0)
    hurried.add_image("a", "s", np.array(1))
    DiskDataset(dataset.base_dir, 5).add_image("b", "s", np.array(2))
    assert sorted(path.name for path in dataset._base.iterdir()) == ["disk.json", "images"]


def test_metadata_keeps_names_that_are_ours(dataset):
    row = {
        "location_id": "other",
        "Source_ID": 3,
        "metadata": {"a": 1},
        "metadata:location_id": 4,
        "metadata:x": [5],
        7: "seven",
        "_key": "k",
    }
    dataset.add_image("a", "s", np.array(0), row)
    about = dataset.image_metadata("a", "s")
    assert about is not None
    assert about["location_id"] == "a"
    assert about["metadata"] == row
    assert list(about["metadata"]) == list(row)
    assert dataset.metadata()["metadata"].tolist() == [row]
    assert len(dataset.query("location_id = 'a' AND source_id = 's'")) == 1
    assert len(dataset.query("\"metadata:location_id\" = 'other'")) == 1
    with pytest.raises(UsageError, match="metadata is a mapping"):
        dataset.add_image("b", "s", np.array(0), 7)


def test_an_image_takes_the_place_of_another_when_asked(dataset):
    for value in range(3):
        dataset.add_image("a", "s", np.full(value + 1, value), {"n": value}, replace=True)
        assert dataset.load_image("a", "s").tolist() == [value] * (value + 1)
    assert dataset.metadata()["metadata"].tolist() == [{"n": 2}]
    with pytest.raises(KeyExistsError, match="replace=True"):
        dataset.add_image("a", "s", np.array(9))


def test_an_image_is_made_only_where_it_is_missing(dataset):
    calls = []

    def make():
        calls.append(1)
        return np.arange(3), {"made": True}

    for _ in range(3):
        assert dataset.get_or_add("a", "s", make).tolist() == [0, 1, 2]
    assert len(calls) == 1
    assert dataset.image_metadata("a", "s")["metadata"] == {"made": True}
    dataset.get_or_add("b", "s", lambda: np.ones(2), {"b": 1})
    assert dataset.image_metadata("b", "s")["metadata"] == {"b": 1}
    with pytest.raises(ZeroDivisionError):
        dataset.get_or_add("c", "s", lambda: 1 / 0)
    assert not dataset.has_image("c", "s")


def test_a_part_of_an_image_is_what_numpy_gives(dataset):
    image = np.random.default_rng(1).random((20, 30, 4, 2))
    dataset.add_image("a", "s", image)
    parts: list[Any] = [
        np.s_[3:9, 10:12],
        np.s_[..., 0],
        np.s_[:, :, [0, 2], 1],
        np.s_[5],
        np.s_[::2, ::-1, 1, -1],
        np.s_[image[..., 0, 0] > 0.5],
        np.s_[1, 2, 3, 0],
        (),
    ]
    for closed in (False, True):
        for part in parts:
            found = dataset.load_image("a", "s", part)
            np.testing.assert_array_equal(found, image[part])
            assert found.flags.writeable
            assert found.base is None
        if not closed:
            dataset.close()
    with pytest.raises(
        PositionError, match=r"location 'a', source 's' has the shape \(20, 30, 4, 2\)"
    ):
        dataset.load_image("a", "s", np.s_[20])


def test_many_images_are_added_together_or_not_at_all(dataset):
    buffer = np.zeros(4, "i4")

    def images(count, last=None):
        for number in range(count):
            buffer[:] = number  # the same memory each time
            yield (f"m{number}", "s", buffer, {"n": number})
        if last is not None:
            yield last

    assert dataset.add_images(images(5)) == 5
    assert dataset.add_images([]) == 0
    before = dataset.metadata()
    for last, error, words in [
        (("m3", "s", buffer), KeyExistsError, "'m3'"),
        (("n0", "s", buffer), KeyExistsError, "'n0'"),
        (("x", "s", np.array([{}])), UnsupportedError, "image 300: .*dtype"),
        (("x", "s"), UsageError, "image 300: .*tuples"),
        ("nonsense", UsageError, "image 300"),
        (("x", "s", buffer, 7), UsageError, "image 300: metadata"),
    ]:
        more = (("n" + name[1:], *rest) for name, *rest in images(300))
        with pytest.raises(error, match=words):
            dataset.add_images([*((n, s, i.copy(), m) for n, s, i, m in more), last])
        pd.testing.assert_frame_equal(dataset.metadata(), before)
    assert dataset.add_images(images(6), replace=True) == 6
    assert dataset.add_images([("x", "s", np.array(1)), ("x", "s", np.array(2))], replace=True) == 2
    assert dataset.load_image("x", "s") == 2
    assert len(dataset) == 7
    for number in range(6):
        assert dataset.load_image(f"m{number}", "s").tolist() == [number] * 4


@pytest.fixture
def places(dataset):
    for number in (3, 0, 2, 1):
        for source in ("image", "mask", "other")[: 1 + number]:
            cloud = {"cloud": 10 * number} if source == "image" else {}
            dataset.add_image(f"p{number}", source, np.full(2, number), cloud)
    return dataset


def test_sources_are_read_side_by_side(places):
    for closed in (False, True):
        found = list(places.load_aligned(["mask", "image"]))
        assert [location for location, _ in found] == ["p1", "p2", "p3"]
        assert all((a == int(where[1:])).all() for where, images in found for a in images)
        assert [place for place, _ in places.load_aligned(["image", "other", "mask"])] == [
            "p2",
            "p3",
        ]
        assert [p for p, _ in places.load_aligned(["image"], locations=["p3", "p0", "x"])] == [
            "p0",
            "p3",
        ]
        assert list(places.load_aligned(["image", "none"])) == []
        if not closed:
            places.close()
    rest = places.load_aligned(["image", "mask"])
    assert next(rest)[0] == "p1"
    places.remove_image("p2", "mask")
    assert [place for place, _ in rest] == ["p2", "p3"]
    with pytest.raises(UsageError, match="several"):
        next(places.load_aligned("image"))


def test_images_are_chosen_by_source_and_location(places):
    assert len(places.images()) == 9
    assert [record.data[0] for record in places.images("image")] == [0, 1, 2, 3]
    assert len(places.images(locations=["p3", "p1"])) == 5
    assert len(places.images("mask", locations=["p3", "p0"])) == 1
    assert len(places.images("none")) == 0
    (batch,) = places.images("image").batches(10)
    assert batch.data[:, 0].tolist() == [0, 1, 2, 3]
    found = [about["location_id"] for _, about in places.load_images("image", locations=["p2"])]
    assert found == ["p2"]


def test_queries_know_ids_and_metadata(places):
    for closed in (False, True):
        found = places.query("source_id = 'image' AND cloud < 25 AND location_id <> 'p0'")
        assert list(found.columns) == ["location_id", "source_id", "metadata"]
        assert sorted(found["location_id"]) == ["p1", "p2"]
        assert sorted(row["cloud"] for row in found["metadata"]) == [10, 20]
        with pytest.raises(UsageError, match="the columns are"):
            places.query("clouds < 3")
        if not closed:
            places.close()
    assert len(DiskDataset(str(places.base_dir) + "-none").query("nonsense !")) == 0


def test_a_split_parts_locations_and_keeps_them_there(dataset):
    parts = {"train": 0.7, "validation": 0.2, "test": 0.1}
    dataset.add_images((f"m{n}", s, np.array(n)) for n in range(1000) for s in ("a", "b"))
    first = dataset.split(parts, seed=5)
    assert list(first) == list(parts)
    assert sorted(place for part in first.values() for place in part) == sorted(
        f"m{n}" for n in range(1000)
    )
    for name, share in parts.items():
        assert abs(len(first[name]) - 1000 * share) < 60
        assert first[name] == sorted(first[name])
    dataset.add_images((f"n{n}", "a", np.array(n)) for n in range(50))
    dataset.remove_image("m7", "a")
    later = dataset.split(parts, seed=5)
    for name in parts:
        assert set(first[name]) == {place for place in later[name] if place[0] == "m"}
    assert dataset.split(parts, seed=6) != later
    assert set(dataset.split()) == {"train", "validation", "test"}
    assert dataset.split({"all": 1.0, "none": 0})["none"] == []
    for wrong in ({}, {"a": 0.5}, {"a": 2, "b": -1}, {"a": float("nan")}):
        with pytest.raises(UsageError):
            dataset.split(wrong)


def test_closing_seals_what_was_added_one_by_one(tmp_path):
    with DiskDataset(tmp_path / "set") as dataset:
        for number in range(5):
            dataset.add_image(f"m{number}", "s", np.array(number))
        assert packed(dataset).manifest.journal is not None
    assert packed(dataset).manifest.journal is None
    dataset.add_image("later", "s", np.array(7))
    assert dataset.load_image("later", "s") == 7
    with DiskDataset(tmp_path / "set") as reader:
        version = packed(reader).version
        assert reader.load_image("m3", "s") == 3
    assert packed(reader).version == version  # who added nothing seals nothing


def test_opening_and_closing_for_each_image_does_not_pile_up_chunks(tmp_path):
    for number in range(80):
        with DiskDataset(tmp_path / "set") as dataset:
            dataset.add_image(f"m{number}", "s", np.array(number))
    assert len(packed(dataset).manifest.chunks) <= 65
    assert [int(image) for image, _ in dataset.load_images("s")] == sorted(range(80), key=str)


def test_presence_and_metadata_are_told_without_reading_the_array(dataset):
    dataset.add_image("a", "s", np.arange(5000), {"n": 1})
    dataset.close()
    (chunk,) = (dataset._base / "images" / "chunks").iterdir()
    data = bytearray(chunk.read_bytes())
    data[4096 + 77] ^= 1
    chunk.write_bytes(data)
    assert dataset.has_image("a", "s")
    assert dataset.image_metadata("a", "s")["metadata"] == {"n": 1}
    with pytest.raises(IntegrityError):
        dataset.load_image("a", "s")


def test_other_directories_are_not_taken_over(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ExistsError, match=r"notes.txt"):
        DiskDataset(tmp_path)
    with pytest.raises(ExistsError, match="not a directory"):
        DiskDataset(tmp_path / "notes.txt")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "metadata.json").write_text("{}")
    with pytest.raises(FormatError, match="old storage API"):
        DiskDataset(tmp_path / "old")


def test_a_newer_or_damaged_marker_is_told(dataset):
    dataset.add_image("a", "s", np.array(0))
    marker = dataset._base / "disk.json"
    assert json.loads(marker.read_text()) == {"format": 1}
    marker.write_text('{"format": 2}')
    with pytest.raises(NewerFormatError, match="upgrade"):
        DiskDataset(dataset.base_dir)
    marker.write_text("{")
    with pytest.raises(FormatError, match="damaged"):
        DiskDataset(dataset.base_dir)


def test_damage_is_found_and_never_returned(dataset):
    dataset.add_image("a", "s", np.arange(1000))
    (chunk,) = (dataset._base / "images" / "chunks").iterdir()
    data = bytearray(chunk.read_bytes())
    data[4096 + 77] ^= 1
    chunk.write_bytes(data)
    again = DiskDataset(dataset.base_dir)
    with pytest.raises(IntegrityError):
        again.load_image("a", "s")
    assert len(again.verify()) == 1


def test_info_and_repr_describe_the_dataset(dataset):
    dataset.add_image("<b>", "s", np.zeros((3, 4), "u2"))
    assert repr(dataset).endswith("images': 1 images)")
    about = json.loads(json.dumps(dataset.info()))
    assert (about["images"], about["locations"], about["sources"]) == (1, 1, ["s"])
    dataset.add_image("x", "<i>", np.zeros(2))
    assert "<i>" not in dataset._repr_html_()
