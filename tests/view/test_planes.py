"""Planes, projections and traces are drawn; napari finds layers at their scale."""

import os
from typing import Any

import numpy as np
import pytest

from haversack.errors import UsageError
from haversack.split import save_to_split_dataset
from haversack.view import planes
from haversack.view.napari import contrast_limits, get_reader, read_layers


@pytest.fixture
def series(tmp_path):
    data = np.random.default_rng(0).integers(0, 99, (6, 3, 60, 80)).astype("u2")
    return save_to_split_dataset(data, tmp_path / "series", (4, None, None, None), frequency=2)


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Draw to a file, and give the figure that it was made of."""
    pytest.importorskip("matplotlib")
    figures = []
    monkeypatch.setattr(planes, "write_png", _keeping(figures, planes.write_png))

    def draw(array, **how):
        planes.draw_array(array, tmp_path / "drawn.png", **how)
        return figures[-1]

    return draw


def _keeping(figures, write):
    return lambda figure, *given, **how: (figures.append(figure), write(figure, *given, **how))[1]


def _heading(figure):
    name, note = (text.get_text() for text in figure.texts)
    return name, note


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


@pytest.mark.parametrize("about", [{"frequency": 20}, {"resolution": (0.5,), "units": ["mm"]}, {}])
@pytest.mark.parametrize(
    "index", [slice(20, 30), slice(None, None, -1), slice(35, 2, -3), slice(7, 8)]
)
def test_a_trace_lies_at_the_coordinates_of_its_elements(tmp_path, drawn, index, about):
    pytest.importorskip("xarray")
    array = save_to_split_dataset(np.arange(40.0) ** 2, tmp_path / "a", **about)
    expected = array.view[index].to_xarray()
    figure = drawn(array.view[index])
    line = figure.axes[0].lines[0]
    np.testing.assert_allclose(line.get_xdata(), expected.x)
    np.testing.assert_array_equal(line.get_ydata(), expected)
    unit = expected.x.attrs.get("units")
    assert figure.axes[0].get_xlabel() == (f"x ({unit})" if unit else "x")


def test_a_trace_along_another_axis_has_its_distances_and_units(tmp_path, drawn):
    known: dict[str, Any] = {"resolution": (3, 0.5), "units": ("s", "mm"), "frequency": 20}
    array = save_to_split_dataset(np.arange(5000).reshape(2, 2500), tmp_path / "a", **known)
    axes = drawn(array.view[1, 10:]).axes[0]
    np.testing.assert_allclose(axes.lines[0].get_xdata()[:3], (5, 6, 7))
    assert axes.get_xlabel() == "x (mm)"
    short = save_to_split_dataset(
        np.ones((2, 9)), tmp_path / "short", resolution=(0.5,), units=known["units"]
    )
    axes = drawn(short.view[:, 3]).axes[0]  # how far its elements are from each other is not known
    assert (axes.lines[0].get_xdata().tolist(), axes.get_xlabel()) == ([0, 1], "y")


@pytest.mark.parametrize("text", [r"$\frac{$", "price $5 and $6", "a_b^c", "tab\there", "\x1b[1m"])
def test_what_is_written_stands_for_itself(tmp_path, drawn, text):
    for data in (np.arange(9.0), np.arange(9.0).reshape(3, 3)):
        root = tmp_path / f"{data.ndim}" / text
        words = [text, "b"][: data.ndim]
        about: dict[str, Any] = {"axes": words, "units": words}
        figure = drawn(save_to_split_dataset(data, root, **about))
        shown = text.replace("\t", "\ufffd").replace("\x1b", "\ufffd")
        assert _heading(figure)[0] == shown
        if data.ndim == 1:
            assert figure.axes[0].get_xlabel() == f"{shown} ({shown})"
        for written in [*figure.texts, figure.axes[0].xaxis.label]:
            assert not written.get_parse_math()


def test_a_name_that_is_no_text_is_drawn(tmp_path, drawn):
    try:
        array = save_to_split_dataset(np.eye(3), tmp_path / os.fsdecode(b"caf\xe9"))
    except OSError:
        pytest.skip("a file system of Unicode names")
    assert _heading(drawn(array))[0] == "caf\ufffd"


@pytest.mark.parametrize(
    "values",
    [
        [1e308, -1e308, 0],
        [1.7e308] * 3,
        [-1.7e308] * 3,
        [1e308],
        [0, 1e300, 1e308],
        [0, 5e-324, 1e-320],
    ],
)
def test_the_largest_and_smallest_doubles_are_drawn(tmp_path, drawn, values):
    _, note = _heading(drawn(save_to_split_dataset([values], tmp_path / "plane")))
    low, high = min(values), max(values)
    assert note.endswith(f"; {low:g} to {high:g}" if low < high else f"; constant {low:g}")
    trace = drawn(save_to_split_dataset(values, tmp_path / "trace"))
    by = 1e300 if high >= 1e308 or low <= -1e308 else 1
    np.testing.assert_allclose(trace.axes[0].lines[0].get_ydata() * by, values)
    assert _heading(trace)[1].endswith("divided by 1e+300") == (by > 1)


@pytest.mark.parametrize("project", ["mean", "std", "sum"])
def test_a_projection_that_overflows_is_told_as_infinite(tmp_path, drawn, project):
    array = save_to_split_dataset(np.full((2, 2, 3), 1e308), tmp_path / "a")
    assert " infinite" in _heading(drawn(array, project=project))[1] or project == "std"


@pytest.mark.parametrize("about", [{"resolution": (1e308,)}, {"frequency": 1e-320}])
def test_distances_that_no_axis_has_room_for_are_left_out(tmp_path, drawn, about):
    axes = drawn(save_to_split_dataset(np.arange(9.0), tmp_path / "a", units=["m"], **about)).axes[
        0
    ]
    assert (axes.lines[0].get_xdata().tolist(), axes.get_xlabel()) == ([*range(9)], "x")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.full((3, 4), 7, "u1"), "constant 7"),
        (np.ones((3, 4), bool), "constant 1"),
        (np.full((3, 4), np.nan), "nothing finite, 12 NaN (blue)"),
        (np.array([[np.nan, 2], [np.inf, 2]]), "constant 2, 1 NaN (blue), 1 infinite"),
        (np.array([[1, 2], [3, -np.inf]]), "1 to 3, 1 infinite"),
        (np.array([[3 + 4j, 0]], "c8"), "complex64, magnitude; 0 to 5"),
    ],
)
def test_a_caption_says_what_the_greys_are(tmp_path, drawn, values, told):
    _, note = _heading(drawn(save_to_split_dataset(values, tmp_path / "a")))
    assert note.endswith(told)
    if "magnitude" not in told:
        assert note.endswith(f"{values.dtype}; {told}")


def test_infinite_values_are_black_and_white_and_what_is_no_number_has_a_colour(tmp_path, drawn):
    values = np.array([[np.nan, np.inf, -np.inf, 1, 2, 3]])
    figure = drawn(save_to_split_dataset(values, tmp_path / "a"))
    shown = np.asarray(figure.axes[0].images[0].get_array())[0]
    assert len(set(shown[0].tolist())) > 1, "the colour of NaN is a grey"
    np.testing.assert_allclose(shown[1:], np.repeat([[1], [0], [0], [0.5], [1]], 3, axis=1))


def test_an_element_without_neighbours_is_a_point(tmp_path, drawn):
    values = np.array([np.nan, 1, np.nan, 2, 3, np.inf, 4])
    figure = drawn(save_to_split_dataset(values, tmp_path / "a"))
    points = figure.axes[0].lines[1]
    assert points.get_xydata().tolist() == [[1, 1], [6, 4]]
    assert points.get_marker() == "."
    assert _heading(figure)[1].endswith("float64, 2 NaN, 1 infinite")
    alone = drawn(save_to_split_dataset(np.ones(1), tmp_path / "b")).axes[0].lines[1]
    assert alone.get_xydata().tolist() == [[0, 1]]
    magnitude = drawn(save_to_split_dataset(np.array([3 + 4j, 0]), tmp_path / "c"))
    assert magnitude.axes[0].lines[0].get_ydata().tolist() == [5, 0]
    assert _heading(magnitude)[1].endswith("complex128, magnitude")
