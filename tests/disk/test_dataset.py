"""Images go in and come out by place and source, whatever the ids are."""

import json
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haversack.disk import DiskDataset, is_disk
from haversack.errors import (
    ExistsError,
    FormatError,
    IntegrityError,
    KeyExistsError,
    NewerFormatError,
    RecordNotFoundError,
    UnsupportedError,
)

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


@settings(deadline=None, max_examples=20)
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
