"""Generated scenes look, by numbers, as the real ones do."""

import json

import numpy as np
import pytest

from haversack.demo.floods import DRY, FLOODED, PERMANENT
from haversack.demo.landscape import CROPS, FIRST_FIELD, WATER, WOOD, make_landscape
from haversack.demo.noise import blur, enlarge, fractal, smoothstep
from haversack.demo.spectra import BANDS, leaves
from haversack.demo.weather import CLEAR, CLOUD, SHADOW, Sun, hillshade, make_sky, observe, sun_at

rasterio = pytest.importorskip("rasterio")
BLUE, RED, NIR = BANDS.index("blue"), BANDS.index("red"), BANDS.index("nir")


@pytest.fixture(scope="module")
def land():
    return make_landscape(np.random.default_rng(5), (128, 160))


def see(land, day, cover=0.0):
    rng = np.random.default_rng(day)
    sky = make_sky(rng, land.ground.shape, sun_at(day, 48), cover=cover)
    return observe(rng, land, sky, day=day).astype(float), sky.mask()


def ndvi(image):
    return (image[NIR] - image[RED]) / (image[NIR] + image[RED])


def crop_is(land, name):
    return land.mask() == CROPS.index(name) + 1


def test_crops_turn_green_in_their_own_season(land):
    spring, summer = ndvi(see(land, 131)[0]), ndvi(see(land, 212)[0])
    wheat, maize = crop_is(land, "winter wheat"), crop_is(land, "maize")
    assert spring[wheat].mean() > 0.7 > 0.35 > summer[wheat].mean()
    assert summer[maize].mean() > 0.7 > 0.35 > spring[maize].mean()


def test_rapeseed_is_yellow_in_may(land):
    image, _ = see(land, 128)
    rapeseed, wheat = crop_is(land, "rapeseed"), crop_is(land, "winter wheat")
    assert (image[RED] / image[BLUE])[rapeseed].mean() > 2 * (image[RED] / image[BLUE])[
        wheat
    ].mean()


def test_water_is_dark_in_the_infrared_and_wood_is_not(land):
    image, _ = see(land, 187)
    assert image[NIR][land.ground == WATER].mean() < 600
    assert image[NIR][land.ground == WOOD].mean() > 1_500


def test_clouds_are_bright_and_their_shadows_dark(land):
    clear, _ = see(land, 187)
    image, mask = see(land, 187, cover=0.3)
    assert 0.1 < (mask == CLOUD).mean() < 0.6
    assert (image - clear)[BLUE][mask == CLOUD].mean() > 2_000
    assert (image / clear)[NIR][mask == SHADOW].mean() < 0.8
    assert np.abs(image / clear - 1)[NIR][mask == CLEAR].mean() < 0.25


def test_slopes_that_face_the_sun_are_brighter():
    east_facing = np.tile(-np.arange(32, dtype=np.float32), (32, 1))
    morning, evening = Sun(azimuth=90, elevation=40), Sun(azimuth=270, elevation=40)
    assert hillshade(east_facing, morning).mean() > 1 > hillshade(east_facing, evening).mean()


def test_the_sun_is_higher_in_summer_and_in_the_south_east_before_noon():
    assert sun_at(172, 48).elevation > sun_at(80, 48).elevation > sun_at(355, 48).elevation
    assert 110 < sun_at(172, 48).azimuth < 175


def test_fields_do_not_overlap_and_their_pixels_are_theirs(land):
    import shapely

    numbers = np.unique(land.ground[land.ground >= FIRST_FIELD]) - FIRST_FIELD
    assert np.bincount(land.ground[land.ground >= FIRST_FIELD]).max() < land.ground.size / 8
    whole = shapely.union_all(land.fields[numbers]).area
    assert whole == pytest.approx(shapely.area(land.fields[numbers]).sum(), rel=1e-6)
    biggest = numbers[np.argmax(shapely.area(land.fields[numbers]))]
    rows, columns = np.nonzero(land.ground == biggest + FIRST_FIELD)
    inside = shapely.contains_xy(land.fields[biggest], columns + 0.5, rows + 0.5)
    assert inside.all()


def test_leaves_stay_a_share():
    for crop in CROPS:
        share = leaves(crop, np.arange(1, 366))
        assert 0 <= share.min() <= share.max() <= 1


def test_fields_of_noise_have_the_shape_they_are_asked_for():
    rng = np.random.default_rng(0)
    smooth, rough = fractal(rng, (64, 64), slope=2.5), fractal(rng, (64, 64), slope=0.5)
    assert np.abs(np.diff(smooth)).mean() < np.abs(np.diff(rough)).mean() / 4
    assert enlarge(smooth, 2).shape == (128, 128)
    np.testing.assert_allclose(enlarge(smooth, 2)[::2, ::2], smooth)
    np.testing.assert_allclose(blur(np.ones((3, 8, 9))), 1)
    assert smoothstep(np.array([-1, 0.5, 2]), 0, 1).tolist() == [0, 0.5, 1]


def read(path):
    with rasterio.open(path) as file:
        return file.read(), file.crs, file.transform


def test_floods_darken_the_radar(small_hub):
    tree = small_hub / "demo_flood_events"
    label = next((tree / "demo_flood_events_labels").glob("*_0000"))
    source = tree / "demo_flood_events_s1_source"
    before, during = [read(p)[0] for p in sorted(source.glob("*_0000_*/backscatter.tif"))]
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        water = read(label / "flood.png")[0][0]
    assert set(np.unique(water)) == {DRY, PERMANENT, FLOODED}
    change = (during - before)[0]
    assert change[water == FLOODED].mean() < -4 < -1 < change[water == DRY].mean()
    properties = json.loads((label / f"{label.name}.json").read_text())["properties"]
    assert properties["flooded_share"] == pytest.approx((water == FLOODED).mean(), abs=1e-4)


def test_the_mask_of_a_place_agrees_with_its_fields_and_its_images(small_hub):
    from rasterio.features import rasterize
    from rasterio.warp import transform_geom

    tree = small_hub / "demo_crop_seasons"
    label = next((tree / "demo_crop_seasons_labels").glob("*_0000"))
    mask, crs, transform = read(label / "labels.tif")
    fields = json.loads((label / "fields.geojson").read_text())["features"]
    shapes = [
        (transform_geom("EPSG:4326", crs, f["geometry"]), f["properties"]["class"]) for f in fields
    ]
    again = rasterize(shapes, out_shape=mask.shape[1:], transform=transform)
    assert (again == mask[0])[mask[0] > 0].mean() > 0.98
    for image in (tree / "demo_crop_seasons_source").glob("*_0000_*/image.tif"):
        assert read(image)[1:] == (crs, transform)


def test_a_footprint_is_the_outline_of_its_image(small_hub):
    from rasterio.warp import transform as project

    for path in small_hub.glob("*/*_source/*/*.json"):
        item = json.loads(path.read_text())
        key = next(k for k, a in item["assets"].items() if a["href"].endswith(".tif"))
        image, crs, transform = read(path.parent / f"{key}.tif")
        rows, columns = image.shape[1:]
        corners = [transform @ c for c in [(0, 0), (0, rows), (columns, rows), (columns, 0)]]
        xs, ys = project(crs, "EPSG:4326", *zip(*corners, strict=True))
        ring = np.array(item["geometry"]["coordinates"][0])[:4]
        np.testing.assert_allclose(ring, np.stack([xs, ys], 1), atol=2e-7)
