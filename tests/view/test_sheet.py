"""A contact sheet shows every image, its label and its class, at the size that was asked for."""

from types import SimpleNamespace

import numpy as np
import pytest

from haversack.convert import read_image
from haversack.errors import EmptySelectionError, UsageError
from haversack.view import contact_sheet as sheet
from haversack.view.stretch import choose_bands, stretch

pytest.importorskip("matplotlib")


def contact_sheet(images, path, *, width=500, **how):
    """Draw small, for speed."""
    return sheet(images, path, width=width, **how)


def chips(count, bands=6):
    return list(np.random.default_rng(0).integers(0, 4000, (count, bands, 24, 24), np.uint16))


def colours(picture):
    return set(map(tuple, np.unique(picture.reshape(3, -1), axis=1).T.tolist()))


@pytest.mark.parametrize(("count", "columns"), [(1, 3), (5, 4), (7, 7), (12, None)])
@pytest.mark.parametrize("width", [300, 700])
def test_the_picture_is_as_wide_as_asked(tmp_path, count, columns, width):
    path = contact_sheet(chips(count), tmp_path / "new" / "a.png", columns=columns, width=width)
    picture = read_image(path)
    assert picture.shape[2] == width
    assert len(colours(picture)) > 100


@pytest.mark.parametrize("bands", [1, 2, 3, 6])
def test_any_number_of_bands_is_shown(tmp_path, bands):
    path = contact_sheet(chips(2, bands), tmp_path / "a.png")
    assert read_image(path).std() > 20


def test_masks_are_drawn_in_the_colours_of_their_classes(tmp_path):
    mask = np.zeros((24, 24), np.uint8)
    mask[:, :12] = 2
    images = [np.full((3, 24, 24), 7, np.uint16)]
    path = contact_sheet(
        images, tmp_path / "a.png", labels=[mask], classes={2: ("maize", "#ff0000"), 5: "wheat"}
    )
    picture = read_image(path).astype(int)
    red = (picture[0] > 180) & (picture[1] < 90) & (picture[2] < 90)
    assert red.mean() > 0.3
    assert (255, 0, 0) in colours(read_image(path))


def test_records_bring_their_date(tmp_path):
    records = [
        SimpleNamespace(data=chip, metadata={"datetime": "2023-05-01T10:00:00Z"})
        for chip in chips(2)
    ]
    dated = read_image(contact_sheet(records, tmp_path / "a.png"))
    plain = read_image(contact_sheet(chips(2), tmp_path / "b.png"))
    assert dated.shape[1] > plain.shape[1]


def test_headings_rows_and_columns_find_room(tmp_path):
    plain = read_image(contact_sheet(chips(4), tmp_path / "a.png", columns=2))
    full = contact_sheet(
        chips(4),
        tmp_path / "b.png",
        columns=["May", "June"],
        rows=["here", "there"],
        titles=["a", None, "b", "c"],
        heading="Heading",
        note="A note",
    )
    assert read_image(full).shape[1] != plain.shape[1]


def test_the_same_images_give_the_same_file(tmp_path):
    one, two = (contact_sheet(chips(3), tmp_path / name).read_bytes() for name in ("a", "b"))
    assert one == two


def test_what_cannot_be_drawn_is_said(tmp_path):
    with pytest.raises(EmptySelectionError, match="at least one image"):
        contact_sheet([], tmp_path / "a.png")
    with pytest.raises(UsageError, match="1 titles for 2 images"):
        contact_sheet(chips(2), tmp_path / "a.png", titles=["a"])
    with pytest.raises(UsageError, match="one or three of 0 to 5"):
        contact_sheet(chips(2), tmp_path / "a.png", bands=(0, 1, 6))
    with pytest.raises(UsageError, match="shape"):
        contact_sheet([np.zeros(5)], tmp_path / "a.png")
    with pytest.raises(UsageError, match="at least one"):
        contact_sheet(chips(2), tmp_path / "a.png", columns=0)
    assert not (tmp_path / "a.png").exists()


def test_bands_are_chosen_in_the_order_of_the_eye():
    image = np.arange(6)[:, None, None] * np.ones((1, 2, 2))
    assert choose_bands(image, None)[:, 0, 0].tolist() == [2, 1, 0]
    assert choose_bands(image, (5,))[:, 0, 0].tolist() == [5]
    assert choose_bands(image[:2], None)[:, 0, 0].tolist() == [0, 1, -1]
    assert choose_bands(image[0], None).shape == (1, 2, 2)


def test_one_clouded_image_does_not_darken_the_others():
    clear = [np.random.default_rng(n).uniform(300, 2000, (3, 20, 20)) for n in range(4)]
    cloud = np.full((3, 20, 20), 9000.0)
    alone = stretch(clear)[0]
    among = stretch([*clear, cloud])
    assert abs(alone.mean() - among[0].mean()) < 0.05
    assert among[-1].min() == 1


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_missing_values_and_flat_images_are_drawn(odd):
    image = np.full((3, 4, 4), 5.0)
    image[0, 0, 0] = odd
    [seen] = stretch([image])
    assert np.isfinite(seen).all()
    [empty] = stretch([np.full((1, 4, 4), np.nan)])
    assert np.isfinite(empty).all()
