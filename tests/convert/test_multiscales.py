"""What OME-Zarr says of an image is taken over, or the field that makes no sense is named."""

import json
import logging

import numpy as np
import pytest
from tests.running import run_python

from haversack.convert import export_array, import_array
from haversack.errors import FormatError
from haversack.split import save_to_split_dataset

VOLUMES = np.arange(2 * 3 * 4 * 5, dtype="u2").reshape(2, 3, 4, 5)
SCALE = {"type": "scale", "scale": [1, 5, 0.5, 0.25]}
AXES = [{"name": name, "type": "space"} for name in "tzyx"]
CONVERT = """if True:
    import sys
    from haversack.cli.main import run
    print("ends with", run(["convert", sys.argv[1], "out", "--to", "split"]))
"""


@pytest.fixture
def image(tmp_path):
    """Make an OME-Zarr image with some fields changed; None removes one."""
    pytest.importorskip("zarr")
    saved = save_to_split_dataset(VOLUMES, tmp_path / "saved", resolution=(1, 5, 0.5, 0.25))
    place = export_array(saved, tmp_path / "a.ome.zarr")

    def change(**fields):
        document = json.loads((place / "zarr.json").read_text())
        found = document["attributes"]["ome"]["multiscales"][0]
        found.update(fields)
        document["attributes"]["ome"]["multiscales"] = [
            {name: value for name, value in found.items() if value is not None}
        ]
        (place / "zarr.json").write_text(json.dumps(document))
        return place

    return change


def level(*transformations, path="0"):
    return [{"path": path, "coordinateTransformations": list(transformations)}]


def test_the_scale_of_the_whole_image_counts(tmp_path, image):
    whole = {"type": "scale", "scale": [0.1, 1, 1, 2]}
    made = import_array(image(coordinateTransformations=[whole]), tmp_path / "made")
    assert list(made.resolution) == [0.1, 5, 0.5, 0.5]
    np.testing.assert_array_equal(made, VOLUMES)
    image(coordinateTransformations=[whole], datasets=level())
    assert import_array(tmp_path / "a.ome.zarr", tmp_path / "b").resolution == (0.1, 1, 1, 2)


def test_a_translation_is_told_of_and_none_is_not(tmp_path, image, caplog):
    caplog.set_level(logging.WARNING, "haversack.convert")
    none = {"type": "translation", "translation": [0, 0, 0, 0]}
    made = import_array(image(datasets=level(SCALE, none)), tmp_path / "made")
    assert not caplog.records
    moved = {"type": "translation", "translation": [0, 7, 0, 0]}
    made = import_array(image(datasets=level(SCALE, moved)), tmp_path / "moved")
    assert list(made.resolution) == [1, 5, 0.5, 0.25]
    assert "coordinateTransformations[1].translation is not kept" in caplog.text


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"axes": None}, "multiscales[0] has no 'axes'"),
        ({"axes": ["t", "z", "y", "x"]}, 'multiscales[0].axes[0] is "t", not an object'),
        ({"axes": [None] * 4}, "multiscales[0].axes[0] is null, not an object"),
        ({"axes": AXES[1:]}, "scale is [1.0, 5.0, 0.5, 0.25], of 3 axes"),
        ({"axes": AXES[1:], "datasets": level()}, "are not 4 different names"),
        ({"axes": AXES[:1] * 4}, "are not 4 different names"),
        ({"axes": [{**axis, "unit": 5} for axis in AXES]}, "axes[0].unit is 5, not a text"),
        ({"datasets": None}, "multiscales[0] has no 'datasets'"),
        ({"datasets": []}, "multiscales[0].datasets is empty"),
        ({"datasets": 3}, "multiscales[0].datasets is 3, not a list"),
        ({"datasets": level(path=0)}, "datasets[0].path is 0, not a text"),
        ({"datasets": level(SCALE, path="9")}, "has no array '9'"),
        ({"datasets": level({"type": "scale"})}, "coordinateTransformations[0] has no 'scale'"),
        ({"datasets": level({**SCALE, "scale": "x"})}, 'scale is "x", not a list'),
        ({"datasets": level({**SCALE, "scale": [1, 2, 3, "x"]})}, 'scale[3] is "x", not a number'),
        (
            {"datasets": level({**SCALE, "scale": [1, True, 1, 1]})},
            "scale[1] is true, not a number",
        ),
        ({"datasets": level({**SCALE, "scale": [1, 2]})}, "scale is [1, 2], of 4 axes"),
        ({"datasets": level({**SCALE, "scale": [1, 1, 1, float("nan")]})}, "one finite number"),
        ({"datasets": level({**SCALE, "scale": [1, 1, 0, 1]})}, "a distance that is not positive"),
        ({"coordinateTransformations": {}}, "coordinateTransformations is {}, not a list"),
    ],
)
def test_a_field_that_makes_no_sense_is_named(tmp_path, image, fields, told):
    place = image(**fields)
    with pytest.raises(FormatError) as caught:
        import_array(place, tmp_path / "made")
    assert str(caught.value).startswith(f"{place}")
    assert told in str(caught.value)
    assert "Error" not in str(caught.value)
    assert not (tmp_path / "made").exists()


def test_a_file_that_is_wrong_is_no_wrong_use(tmp_path, image):
    place = image(axes=AXES[:1] * 4)
    assert run_python(CONVERT, place, cwd=tmp_path, timeout=60) == "ends with 7\n"
