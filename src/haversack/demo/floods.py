"""``demo_flood_events``: rivers before and during a flood, by radar and in colour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from haversack.demo import files
from haversack.demo.landscape import (
    BANK,
    FIRST_FIELD,
    VILLAGE,
    WATER,
    WOOD,
    Landscape,
    make_landscape,
)
from haversack.demo.noise import Field, blur, fractal
from haversack.demo.place import Grid
from haversack.demo.tree import About, Asset, CollectionTree, DatasetTree, Item
from haversack.demo.weather import Sun, hillshade, make_sky, observe, sun_at

ABOUT = About(
    id="demo_flood_events",
    title="Flood Events on Generated Rivers",
    description=(
        "Sentinel-1-like radar chips before and during floods, a Sentinel-2-like view of each, and "
        "masks of the water. Everything in it was computed: no such flood happened."
    ),
    doi="10.5555/haversack.floods",
    tags=("flood", "segmentation", "sentinel-1", "sentinel-2", "sar"),
    tools="haversack demo",
)
RADAR, OPTICAL = "demo_flood_events_s1_source", "demo_flood_events_s2_source"
LABELS = "demo_flood_events_labels"
_EPSG, _TURN = 32632, 12.0
_FEW, _MANY = 3, 26
_SAR = "https://stac-extensions.github.io/sar/v1.0.0/schema.json"
_EO = "https://stac-extensions.github.io/eo/v1.1.0/schema.json"
_LABEL = "https://stac-extensions.github.io/label/v1.0.1/schema.json"
_OPTICAL_BANDS = {"B02": 0, "B03": 1, "B04": 2, "B08": 3}

DRY, PERMANENT, FLOODED = 0, 1, 2
"""Classes of the flood masks."""


@dataclass(frozen=True, slots=True)
class _Event:
    name: str
    grid: Grid
    before: datetime
    during: datetime


def planned(*, small: bool) -> int:
    """Count the assets that items and all of them share."""
    return (_FEW if small else _MANY) * (2 + len(_OPTICAL_BANDS) + 1) + 1


def make_floods(hub: Path, seed: int, *, small: bool, wrote: Callable[[int], None]) -> str:
    """Write the dataset into a hub's directory and return its id."""
    rng = np.random.default_rng([seed, 2])
    tree = DatasetTree(hub, ABOUT, wrote)
    guide = [
        "Radar: VV and VH backscatter in decibels as float32, 20 m pixels, turned with the swath.",
        "Optical: reflectance x 10,000 as uint16, one file per band.",
        "flood: 0 dry, 1 permanent water, 2 flooded.",
    ]
    document = Asset(files.pdf(ABOUT.title, guide), "pdf", "Documentation", ("metadata",))
    tree.add_common("documentation", document)
    collections = _collections(tree)
    for event in _events(rng, _FEW if small else _MANY, 48 if small else 128):
        _add_event(rng, event, *collections)
    tree.finish()
    return ABOUT.id


def _collections(tree: DatasetTree) -> tuple[CollectionTree, CollectionTree, CollectionTree]:
    radar = tree.collection(
        RADAR,
        title=f"{ABOUT.title}: radar",
        description="VV and VH backscatter in decibels, one item before and one during each flood.",
        kind="source_imagery",
        extensions=(_SAR,),
    )
    optical = tree.collection(
        OPTICAL,
        title=f"{ABOUT.title}: optical",
        description="Blue, green, red and near infrared during each flood, one file per band.",
        kind="source_imagery",
        extensions=(_EO,),
    )
    labels = tree.collection(
        LABELS,
        title=f"{ABOUT.title}: water",
        description="What is water before and during each flood.",
        kind="labels",
        extensions=(_LABEL,),
    )
    return radar, optical, labels


def _events(rng: np.random.Generator, count: int, size: int) -> list[_Event]:
    events = []
    for number in range(count):
        row, column = divmod(number, 6)
        east = 560_000 + 5_200 * column + rng.uniform(-700, 700)
        north = 5_012_000 - 5_000 * row + rng.uniform(-700, 700)
        grid = Grid(_EPSG, round(east, -1), round(north, -1), 20.0, size, _TURN)
        during = datetime(2022, 1, 6, 5, 27, 14) + timedelta(days=12 * int(rng.integers(0, 60)))  # noqa: DTZ001
        events.append(_Event(f"{number:04d}", grid, during - timedelta(days=12), during))
    return events


def _add_event(
    rng: np.random.Generator,
    event: _Event,
    radar: CollectionTree,
    optical: CollectionTree,
    labels: CollectionTree,
) -> None:
    shape = (event.grid.size, event.grid.size)
    land = make_landscape(rng, shape, relief=7.0, block=26.0)
    water = _flood(rng, land)
    sources = []
    for moment, wet in ((event.before, water == PERMANENT), (event.during, water > DRY)):
        item = _radar_item(event, moment, backscatter(rng, land, wet))
        radar.add(item)
        sources.append((RADAR, item.id))
    item = _optical_item(rng, event, land, water)
    optical.add(item)
    labels.add(_label_item(event, water, [*sources, (OPTICAL, item.id)]))


def _flood(rng: np.random.Generator, land: Landscape) -> NDArray[np.uint8]:
    """Water stands wherever the ground is low; it comes from the river."""
    level = np.quantile(land.height, rng.uniform(0.22, 0.5))
    wet = blur(blur((land.height + 0.5 * land.grain < level).astype(np.float32))) > 0.5
    flood = np.where(wet & (land.ground != VILLAGE), FLOODED, DRY)
    return np.where(land.ground == WATER, PERMANENT, flood).astype(np.uint8)


def backscatter(rng: np.random.Generator, land: Landscape, wet: NDArray[np.bool_]) -> Field:
    """Radar echo in decibels, (2, rows, columns) for VV and VH, with speckle.

    Parameters
    ----------
    rng
        Where the speckle comes from.
    land
        The ground.
    wet
        Where water stands: smooth, so that the echo goes away from the satellite.
    """
    like = np.zeros((FIRST_FIELD + len(land.fields), 2), np.float32)
    like[FIRST_FIELD:] = rng.normal(0, 1.4, (len(land.fields), 1)) - (11.0, 18.0)
    like[:FIRST_FIELD] = (-13.0, -20.0)
    like[WOOD], like[VILLAGE], like[BANK], like[WATER] = (
        (-7.5, -13),
        (-2.0, -9),
        (-9, -15),
        (-21, -28),
    )
    echo = np.moveaxis(like[land.ground], -1, 0)
    towards = hillshade(land.height, Sun(azimuth=282, elevation=52))
    echo = echo + 5 * np.log10(np.clip(towards, 0.3, 2)) + land.grain * 0.5
    echo[0][land.ground == VILLAGE] += 4 * land.grain[land.ground == VILLAGE]
    calm = np.array([-20.5, -27.0], np.float32)[:, None, None]
    standing = wet & (land.ground != WOOD)
    echo = np.where(standing, calm + 0.6 * fractal(rng, wet.shape, slope=1), echo)
    speckle = rng.gamma(6.0, 1 / 6.0, echo.shape)
    return blur((echo + 10 * np.log10(speckle)).astype(np.float32))


def _radar_item(event: _Event, moment: datetime, echo: Field) -> Item:
    image = files.geotiff(echo, epsg=_EPSG, transform=event.grid.transform, names=("VV", "VH"))
    return Item(
        id=f"{RADAR}_{event.name}_{moment:%Y%m%d}",
        geometry=event.grid.footprint,
        when=f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        properties={
            "place": event.name,
            "event": "before" if moment == event.before else "during",
            "platform": "generated",
            "gsd": 20,
            "sar:instrument_mode": "IW",
            "sar:frequency_band": "C",
            "sar:polarizations": ["VV", "VH"],
            "sar:product_type": "GRD",
        },
        assets={"backscatter": Asset(image, "tif", "VV and VH in decibels")},
    )


def _optical_item(
    rng: np.random.Generator, event: _Event, land: Landscape, water: NDArray[np.uint8]
) -> Item:
    moment = event.during + timedelta(days=1, hours=5)
    day = moment.timetuple().tm_yday
    sky = make_sky(rng, water.shape, sun_at(day, 45), cover=float(rng.choice([0, 0.1, 0.3])))
    flooded = land.ground.copy()
    flooded[water == FLOODED] = WATER
    image = observe(rng, replace(land, ground=flooded), sky, day=day)
    image[:4, water == FLOODED] += np.array([[260], [420], [560], [150]], np.uint16)
    more: dict[str, Any] = {"epsg": _EPSG, "transform": event.grid.transform}
    return Item(
        id=f"{OPTICAL}_{event.name}_{moment:%Y%m%d}",
        geometry=event.grid.footprint,
        when=f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        properties={
            "place": event.name,
            "platform": "generated",
            "gsd": 20,
            "eo:cloud_cover": round(100 * float((sky.mask() == 1).mean()), 1),
        },
        assets={
            key: Asset(files.geotiff(image[band], **more), "tif", f"Band {key}")
            for key, band in _OPTICAL_BANDS.items()
        },
    )


def _label_item(event: _Event, water: NDArray[np.uint8], sources: list[tuple[str, str]]) -> Item:
    return Item(
        id=f"{LABELS}_{event.name}",
        geometry=event.grid.footprint,
        when=(f"{event.before:%Y-%m-%dT%H:%M:%SZ}", f"{event.during:%Y-%m-%dT%H:%M:%SZ}"),
        properties={
            "place": event.name,
            "label:type": "raster",
            "label:tasks": ["segmentation"],
            "label:properties": ["water"],
            "label:description": "Permanent water and flooded ground",
            "label:classes": [{"name": "water", "classes": ["dry", "permanent", "flooded"]}],
            "flooded_share": round(float((water == FLOODED).mean()), 4),
        },
        assets={"flood": Asset(files.png(water), "png", "Water", ("labels",))},
        sources=sources,
    )
