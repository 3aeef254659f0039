"""``demo_crop_seasons``: a farmed valley through one year, and what grows on its fields."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from haversack.demo import files
from haversack.demo.landscape import CROPS, FIRST_FIELD, Landscape, make_landscape
from haversack.demo.place import Grid
from haversack.demo.spectra import BANDS, WAVELENGTHS_UM
from haversack.demo.tree import About, Asset, CollectionTree, DatasetTree, Item
from haversack.demo.weather import CLOUD, Sky, make_sky, observe, sun_at

ABOUT = About(
    id="demo_crop_seasons",
    title="Crop Seasons of a Generated Valley",
    description=(
        "Sentinel-2-like image chips of a farmed valley through the growing season of 2023, with "
        "the crop of every field. Everything in it was computed: no such valley exists."
    ),
    doi="10.5555/haversack.crops",
    tags=("crop type", "segmentation", "time series", "sentinel-2", "agriculture"),
    tools="haversack demo",
)
SOURCE, LABELS = "demo_crop_seasons_source", "demo_crop_seasons_labels"
COLOURS = {
    1: (218, 165, 32),
    2: (34, 139, 34),
    3: (240, 228, 66),
    4: (178, 34, 110),
    5: (230, 110, 30),
    6: (120, 200, 160),
}
_EPSG, _EAST, _NORTH, _LATITUDE = 32633, 611_400.0, 5_352_300.0, 48.3
_VALLEY = 9  # one whose river and villages lie in places that are held out
_DAYS = (80, 109, 131, 158, 187, 212, 244, 285)
_COVERS = (0.0, 0.28, 0.04, 0.14, 0.0, 0.36, 0.10, 0.0)
_EO = "https://stac-extensions.github.io/eo/v1.1.0/schema.json"
_PROJECTION = "https://stac-extensions.github.io/projection/v1.1.0/schema.json"
_VIEW = "https://stac-extensions.github.io/view/v1.0.0/schema.json"
_LABEL = "https://stac-extensions.github.io/label/v1.0.1/schema.json"


@dataclass(frozen=True, slots=True)
class _Plan:
    """How much of the valley there is, and how often it is seen."""

    across: int
    spacing: int
    size: int
    days: tuple[int, ...]


_FULL = _Plan(across=6, spacing=224, size=128, days=_DAYS)
_SMALL = _Plan(across=2, spacing=72, size=48, days=(131, 158, 212))


@dataclass(frozen=True, slots=True)
class _Place:
    name: str
    row: int
    column: int
    orbit: int
    grid: Grid
    held_out: bool


def planned(*, small: bool) -> int:
    """Count the assets of items, of the labels' collection, and those that all items share."""
    plan = _SMALL if small else _FULL
    return plan.across**2 * (3 * len(plan.days) + 2) + 1 + 3


def make_crops(hub: Path, seed: int, *, small: bool, wrote: Callable[[int], None]) -> str:
    """Write the dataset into a hub's directory and return its id."""
    plan = _SMALL if small else _FULL
    rng = np.random.default_rng([seed, _VALLEY])
    extent = (plan.across * plan.spacing,) * 2
    land = make_landscape(rng, extent)
    places = _places(rng, plan)
    tree = DatasetTree(hub, ABOUT, wrote)
    _add_common(tree, places)
    source, labels = _collections(tree)
    seen: dict[str, list[str]] = {place.name: [] for place in places}
    for orbit in (0, 1):
        for number, day in enumerate(plan.days):
            cover = _COVERS[_DAYS.index(day)] if orbit == 0 else _COVERS[-1 - number]
            moment = day + 3 * orbit
            sky = make_sky(rng, extent, sun_at(moment, _LATITUDE), cover=cover)
            for place in (place for place in places if place.orbit == orbit):
                item = _chip(rng, land, sky, place, moment)
                source.add(item)
                seen[place.name].append(item.id)
    for place in places:
        labels.add(_label(land, place, plan, seen[place.name]))
    tree.finish()
    return ABOUT.id


def _places(rng: np.random.Generator, plan: _Plan) -> list[_Place]:
    count = plan.across**2
    slack = plan.spacing - plan.size
    offsets = rng.integers(slack // 4, slack - slack // 4, (count, 2))
    held_out = set(rng.permutation(count)[: count // 4].tolist())
    places = []
    for number in range(count):
        row, column = (
            divmod(number, plan.across) * np.array(plan.spacing) + offsets[number]
        ).tolist()
        grid = Grid(_EPSG, _EAST + 10 * column, _NORTH - 10 * row, 10.0, plan.size)
        orbit = number % plan.across * 2 // plan.across
        places.append(_Place(f"{number:04d}", row, column, orbit, grid, number in held_out))
    return places


def _add_common(tree: DatasetTree, places: Sequence[_Place]) -> None:
    guide = [
        *_wrapped(ABOUT.description),
        "",
        "Source: reflectance x 10,000 as uint16, 10 m pixels, UTM zone 33N.",
        f"Bands: {', '.join(BANDS)}.",
        "cloud_mask: 0 clear, 1 cloud, 2 shadow of a cloud.",
        "",
        "Labels: class of the crop per pixel, and the fields as polygons.",
        "0 no crop, " + ", ".join(f"{n} {crop}" for n, crop in enumerate(CROPS, 1)) + ".",
    ]
    tree.add_common(
        "documentation",
        Asset(files.pdf(ABOUT.title, guide), "pdf", "Documentation", ("metadata",)),
    )
    for key, held_out in (("train_split", False), ("test_split", True)):
        rows = [[place.name] for place in places if place.held_out is held_out]
        tree.add_common(key, Asset(files.table(["place"], rows), "csv", key, ("metadata",)))


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 88)


def _collections(tree: DatasetTree) -> tuple[CollectionTree, CollectionTree]:
    source = tree.collection(
        SOURCE,
        title=f"{ABOUT.title}: images",
        description="Chips of six bands with their cloud masks, one item per place and date.",
        kind="source_imagery",
        extensions=(_EO, _PROJECTION, _VIEW),
    )
    labels = tree.collection(
        LABELS,
        title=f"{ABOUT.title}: labels",
        description="The crop of every pixel and field, one item per place for the whole season.",
        kind="labels",
        extensions=(_LABEL, _PROJECTION),
    )
    rows = [
        (number, crop, "#" + bytes(COLOURS[number]).hex()) for number, crop in enumerate(CROPS, 1)
    ]
    classes = files.table(["class", "crop", "colour"], rows)
    labels.add_asset("classes", Asset(classes, "csv", "Classes of the masks", ("metadata",)))
    return source, labels


def _moment(day: int, clock: str = "10:06:21") -> str:
    return f"{date(2023, 1, 1) + timedelta(days=day - 1)}T{clock}Z"


def _chip(rng: np.random.Generator, land: Landscape, sky: Sky, place: _Place, day: int) -> Item:
    size = place.grid.size
    over = sky.window(place.row, place.column, size)
    image = observe(rng, land.window(place.row, place.column, size), over, day=day)
    mask = over.mask()
    when = _moment(day)
    bands = [
        {
            "name": name,
            "common_name": name.replace("swir1", "swir16").replace("swir2", "swir22"),
            "center_wavelength": wavelength,
        }
        for name, wavelength in zip(BANDS, WAVELENGTHS_UM, strict=True)
    ]
    return Item(
        id=f"{SOURCE}_{place.name}_{when[:10].replace('-', '')}",
        geometry=place.grid.footprint,
        when=when,
        properties={
            "place": place.name,
            "platform": "generated",
            "gsd": 10,
            "proj:epsg": place.grid.epsg,
            "eo:cloud_cover": round(100 * float((mask == CLOUD).mean()), 1),
            "view:sun_azimuth": sky.sun.azimuth,
            "view:sun_elevation": sky.sun.elevation,
        },
        assets={
            "image": Asset(
                _tiff(image, place.grid, names=BANDS),
                "tif",
                "Reflectance x 10,000",
                more={"eo:bands": bands},
            ),
            "cloud_mask": Asset(files.png(mask), "png", "Clouds and their shadows"),
            "thumbnail": Asset(files.png(true_colour(image)), "png", "Thumbnail", ("thumbnail",)),
        },
    )


def true_colour(image: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Show reflectance (bands, rows, columns) as (rows, columns, 3) for the eye."""
    light = np.clip(image[[2, 1, 0]] / np.float32(2_600), 0, 1) ** np.float32(0.75)
    return np.rint(255 * light).astype(np.uint8).transpose(1, 2, 0)


def _label(land: Landscape, place: _Place, plan: _Plan, seen: Sequence[str]) -> Item:
    here = land.window(place.row, place.column, plan.size)
    mask = here.mask()
    return Item(
        id=f"{LABELS}_{place.name}",
        geometry=place.grid.footprint,
        when=(_moment(plan.days[0], "00:00:00"), _moment(plan.days[-1] + 3, "23:59:59")),
        properties={
            "place": place.name,
            "proj:epsg": place.grid.epsg,
            "label:type": "raster",
            "label:tasks": ["segmentation"],
            "label:properties": ["crop"],
            "label:description": "Crop of each pixel, and the fields as polygons",
            "label:classes": [{"name": "crop", "classes": list(CROPS)}],
        },
        assets={
            "labels": Asset(
                _tiff(mask, place.grid, colours=COLOURS), "tif", "Crop classes", ("labels",)
            ),
            "fields": Asset(_fields(land, here, place), "geojson", "Fields", ("labels",)),
        },
        sources=[(SOURCE, name) for name in seen],
    )


def _fields(land: Landscape, here: Landscape, place: _Place) -> bytes:
    numbers = np.unique(here.ground[here.ground >= FIRST_FIELD]) - FIRST_FIELD
    size = place.grid.size
    moved = shapely.transform(land.fields[numbers], lambda xy: xy - (place.column, place.row))
    cut = shapely.intersection(moved, shapely.box(0, 0, size, size))
    rows = [
        {
            "field": int(number),
            "crop": CROPS[land.crops[number] - 1],
            "class": int(land.crops[number]),
            "area_ha": round(float(area) / 100, 2),
        }
        for number, area in zip(numbers, shapely.area(cut), strict=True)
    ]
    return files.features(zip(place.grid.geojson(cut), rows, strict=True))


def _tiff(image: NDArray[Any], grid: Grid, **how: Any) -> bytes:
    return files.geotiff(image, epsg=grid.epsg, transform=grid.transform, **how)
