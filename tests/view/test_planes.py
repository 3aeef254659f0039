"""Planes, projections and traces are drawn; napari finds layers at their scale."""

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
