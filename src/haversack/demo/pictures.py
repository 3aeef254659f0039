"""The demo's pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from haversack.catalog import read_catalog
from haversack.demo.crops import ABOUT, COLOURS
from haversack.demo.fit import FEATURES, Model, Season
from haversack.demo.landscape import CROPS
from haversack.packed import PackedDataset, Record
from haversack.view import contact_sheet, footprints

_ROWS, _DATES = 4, 4


def draw_sheet(packed: PackedDataset, model: Model, seasons: Sequence[Season], path: Path) -> Path:
    """Draw places of the held-out ones: some dates, the label, and what the model says."""
    images, labels, titles = [], [], []
    shown = sorted(seasons, key=_water, reverse=True)[:_ROWS]
    for season in shown:
        guess = model.predict(season)
        right = (guess == season.crops)[season.crops > 0].mean()
        guess[season.crops == 0] = 0
        dates = _dates(packed, season.place)
        images += [*dates, *[min(dates, key=_clouds)] * 2]
        labels += [*[None] * len(dates), season.crops, guess]
        titles += [record.metadata["datetime"][:10] for record in dates]
        titles += ["label", f"predicted: {right:.0%} right"]
    return contact_sheet(
        images,
        path,
        labels=labels,
        titles=titles,
        columns=len(images) // len(shown),
        rows=[f"place {season.place}" for season in shown],
        classes={number: (crop, _hex(number)) for number, crop in enumerate(CROPS, 1)},
        heading=ABOUT.title,
        note="Places that the model never saw, through the year",
    )


def _water(season: Season) -> float:
    """Tell how much of a place never has a positive NDVI: rivers make the better picture."""
    ndvi = np.nan_to_num(season.features[:, ::FEATURES])
    return float(((ndvi <= 0).all(1) & (ndvi < 0).any(1)).mean())


def _hex(number: int) -> str:
    return "#" + bytes(COLOURS[number]).hex()


def _dates(packed: PackedDataset, place: str) -> list[Record]:
    """Choose the clearest images of a place, in the order of time."""
    images = list(packed.filter(f"asset = 'image' AND place = '{place}'"))
    images.sort(key=_clouds)
    return sorted(images[:_DATES], key=lambda record: record.metadata["datetime"])


def _clouds(record: Record) -> float:
    return float(record.metadata["eo:cloud_cover"])


def draw_map(tree: Path, path: Path, *, area: tuple[float, ...], dates: str) -> Path:
    """Draw what was downloaded of the whole dataset, and the area that was asked for."""
    catalog = read_catalog(tree)
    return footprints(
        catalog,
        path,
        chosen=catalog.select(bbox=area, datetime=dates),
        area=area,
        note="In colour: the items that were downloaded, a strip for each date. "
        "Dashed: the area that was asked for",
    )
