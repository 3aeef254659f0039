"""Planes, projections and traces are drawn; napari finds layers at their scale."""

from typing import Any

import numpy as np
import pytest

from haversack.errors import UsageError
from haversack.split import save_to_split_dataset
from haversack.view.napari import contrast_limits, get_reader, read_layers


@pytest.fixture
def series(tmp_path):
    data = np.random.default_rng(0).integers(0, 99, (6, 3, 60, 80)).astype("u2")
    return save_to_split_dataset(data, tmp_path / "series", (4, None, None, None), frequency=2)


def test_planes_projections_and_traces_are_drawn(tmp_path, series):
    pytest.importorskip("matplotlib")
    from PIL import Image

    from haversack.view import draw_array

    for number, (view, project) in enumerate(
        [
            (series, None),
            (series.view[2, 1], None),
            (series.view[:, 1], "max"),
            (series, "std"),
            (series.view[:, 1, 5, 5], None),
        ]
    ):
        path = draw_array(view, tmp_path / "pictures" / f"{number}.png", project=project)
        with Image.open(path) as picture:
            assert picture.width > 1000
            assert len(set(picture.convert("L").resize((40, 40)).tobytes())) > 5
    for view in (series.view[:0], series.view[0, 0, 0, 0]):
        with pytest.raises(UsageError, match="nothing to draw"):
            draw_array(view, tmp_path / "none.png")
    with pytest.raises(UsageError, match="projection"):
        draw_array(series, tmp_path / "none.png", project="median")


def test_napari_gets_lazy_layers_at_their_scale(tmp_path, series):
    data = np.zeros((4, 600, 700), "u1")
    data[:, :300] = 200
    wide = save_to_split_dataset(data, tmp_path / "wide", resolution=(5, 0.5, 0.5))
    reader = get_reader(str(wide.root))
    assert reader is not None
    [(layer, about, kind)] = reader(str(wide.root))
    assert kind == "image"
    assert (layer.shape, about["scale"]) == (data.shape, (5, 0.5, 0.5))
    assert about["contrast_limits"] == (0, 200)
    wide.build_pyramid()
    [(levels, about, _)] = reader([str(wide.root)])
    assert about["multiscale"]
    assert [level.shape for level in levels] == [(4, 600, 700), (4, 300, 350), (4, 150, 175)]
    short = save_to_split_dataset(data, tmp_path / "short", resolution=(0.5, 0.25))
    [(_, about, _)] = read_layers(str(short.root))
    assert about["scale"] == (1, 0.5, 0.25)
    assert get_reader(str(tmp_path)) is None
    assert get_reader([]) is None
    low, high = contrast_limits(series)
    assert 0 <= low < 5
    assert 90 < high <= 99


def test_napari_gets_the_time_between_frames(tmp_path, series):
    [(_, about, _)] = read_layers(str(series.root))
    assert about["scale"] == (0.5, 1, 1, 1)
    known: dict[str, Any] = {"resolution": (3, 0.5, 0.5), "frequency": 20.0}
    part = save_to_split_dataset(series, tmp_path / "part", **known)
    [(_, about, _)] = read_layers(str(part.root))
    assert about["scale"] == (0.05, 3, 0.5, 0.5)


@pytest.mark.parametrize(
    ("values", "black", "white"),
    [
        (np.linspace(-100, 0, 2400), -100, 0),
        (np.linspace(-50, 50, 2400).astype("f2"), -50, 50),
        (np.arange(2400).astype("i2") - 1200, -1200, 1200),
        (np.where(np.arange(2400) % 3, np.linspace(-1, 1, 2400), np.nan), -1, 1),
        (np.where(np.arange(2400) % 3, np.linspace(-1, 1, 2400), -np.inf), -1, 1),
        (np.where(np.arange(2400) % 2, 1e308, -1e308), -1e308, 1e308),
        (np.linspace(0, 100, 2400) * 1j, 0, 100),
    ],
)
def test_contrast_is_that_of_the_values(tmp_path, values, black, white):
    split = save_to_split_dataset(values.reshape(4, 20, 30), tmp_path / "a")
    low, high = contrast_limits(split)
    near = (white - black) / 50 if white < 1e300 else 0
    assert black <= low <= black + near
    assert white - near <= high <= white


@pytest.mark.parametrize("value", [np.nan, -7.0, 0, np.float32(3e30), 250])
def test_contrast_of_one_value_has_a_width(tmp_path, value):
    low, high = contrast_limits(save_to_split_dataset(np.full((2, 5, 5), value), tmp_path / "a"))
    assert np.isfinite([low, high]).all()
    assert low < high


def test_a_picture_of_a_wide_plane_reads_every_nth_element(tmp_path):
    pytest.importorskip("matplotlib")
    from PIL import Image

    from haversack.view import draw_array

    data = np.zeros((3, 200, 5000), "u1")
    data[:, 100:] = 200
    wide = save_to_split_dataset(data, tmp_path / "wide", (1, None, None))
    for view, project in ((wide, None), (wide, "max"), (wide.view[0, 150], None)):
        path = draw_array(view, tmp_path / "wide.png", project=project)
        with Image.open(path) as picture:
            assert picture.width > 1000
            shown = np.asarray(picture.convert("L"))
        if view is wide:
            middle = shown[:, shown.shape[1] // 2]
            assert {0, 255} <= {*middle.tolist()}
    with pytest.raises(UsageError, match="nothing to project"):
        draw_array(wide.view[0], tmp_path / "none.png", project="max")
