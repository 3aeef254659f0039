"""One stretch of farmland: hills, a river, woods, villages, and fields with what grows on them.

Everything lies in pixel coordinates (x to the right, y down). Fields are polygons first and pixels
second, so that a mask and the parcels beside it agree exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from haversack.demo.noise import Field, fractal, smoothstep
from haversack.demo.raster import burn

TRACK, WATER, WOOD, VILLAGE, ROAD, BANK = range(6)
"""What is no field: the first ids of the ground; fields follow from ``FIRST_FIELD``."""
FIRST_FIELD = 6

CROPS = ("winter wheat", "maize", "rapeseed", "sugar beet", "sunflower", "meadow")
"""Class ``n`` of the masks is ``CROPS[n - 1]``; 0 is no crop."""
_SHARES = (0.25, 0.22, 0.14, 0.13, 0.11, 0.15)


@dataclass(frozen=True, slots=True)
class Landscape:
    """A generated stretch of land.

    Parameters
    ----------
    height
        Metres above the valley floor, (rows, columns).
    ground
        What covers each pixel: one of the codes above, or ``FIRST_FIELD`` plus the field's number.
    fields
        Polygon of each field.
    crops
        Class of each field, 1 to ``len(CROPS)``.
    vigour, lag
        How well each field grows (about 1), and how many days late.
    soil, patches, grain
        Brightness of the soil, patches of better growth, fine texture: (rows, columns).
    """

    height: Field
    ground: NDArray[np.int32]
    fields: NDArray[np.object_]
    crops: NDArray[np.uint8]
    vigour: Field
    lag: Field
    soil: Field
    patches: Field
    grain: Field

    def window(self, row: int, column: int, size: int) -> Landscape:
        """Cut a square out; the fields stay those of the whole."""
        cut = (slice(row, row + size), slice(column, column + size))
        return replace(
            self,
            height=self.height[cut],
            ground=self.ground[cut],
            soil=self.soil[cut],
            patches=self.patches[cut],
            grain=self.grain[cut],
        )

    def mask(self) -> NDArray[np.uint8]:
        """Class of the crop at each pixel; 0 where there is none."""
        classes = np.concatenate([np.zeros(FIRST_FIELD, np.uint8), self.crops])
        return classes[self.ground]


def make_landscape(
    rng: np.random.Generator, shape: tuple[int, int], *, relief: float = 60.0, block: float = 40.0
) -> Landscape:
    """Generate a landscape.

    Parameters
    ----------
    rng
        Where the randomness comes from.
    shape
        (rows, columns) in pixels of 10 m.
    relief
        Height of the hills in metres.
    block
        Distance between tracks in pixels.

    Examples
    --------
    >>> land = make_landscape(np.random.default_rng(0), (64, 96))
    >>> land.ground.shape
    (64, 96)
    >>> bool(land.mask().max() <= len(CROPS))
    True
    """
    river = _river(rng, shape)
    height = _heights(rng, shape, river, relief)
    blocks = _blocks(rng, shape, block)
    road = _road(rng, shape)
    plots = _cut(_plots(rng, blocks), shapely.union(_valley(river), road))
    cover = _cover(rng, shape, plots)
    fields = plots[cover == FIRST_FIELD]
    crops = (rng.choice(len(CROPS), len(fields), p=_SHARES) + 1).astype(np.uint8)
    ground = _ground(rng, shape, river, road, plots, cover)
    return Landscape(
        height=height,
        ground=ground,
        fields=fields,
        crops=crops,
        vigour=rng.normal(1, 0.09, len(fields)).astype(np.float32),
        lag=rng.normal(0, 5, len(fields)).astype(np.float32),
        soil=fractal(rng, shape, slope=1.6, longest=200),
        patches=smoothstep(fractal(rng, shape, slope=1.5, longest=60), -2, 2),
        grain=fractal(rng, shape, slope=0.6, longest=12),
    )


def _river(rng: np.random.Generator, shape: tuple[int, int]) -> Any:
    """Draw a meandering line from the left edge to the right, as a polygon."""
    rows, columns = shape
    t = np.arange(-40, columns + 40, 2.5)
    phase = rng.uniform(0, 2 * np.pi, 4)
    swing = 0.11 * rows * np.sin(2 * np.pi * t / (0.9 * columns) + phase[0])
    wave = 2 * np.pi * t / 104 + phase[1] + 0.9 * np.sin(2 * np.pi * t / 347 + phase[2])
    bend = (20 + 8 * np.sin(t / 91 + phase[3])) * np.sin(wave)
    loop = -10 * np.sin(2 * wave)
    middle = rows * rng.uniform(0.42, 0.58)
    line = shapely.linestrings(t + loop, middle + swing + bend + 0.04 * rows * np.sin(t / 200))
    return line.buffer(rng.uniform(2.6, 3.4), quad_segs=2)


def _valley(river: Any) -> Any:
    return river.buffer(7, quad_segs=2)


def _cut(plots: NDArray[np.object_], away: Any) -> NDArray[np.object_]:
    """Take what lies in ``away`` from the plots, and drop what becomes too small."""
    shapely.prepare(away)
    touched = shapely.intersects(plots, away)
    plots[touched] = shapely.difference(plots[touched], away)
    return np.asarray(plots[shapely.area(plots) > 12])


def _heights(rng: np.random.Generator, shape: tuple[int, int], river: Any, relief: float) -> Field:
    hills = fractal(rng, shape, slope=2.35, longest=330)
    away = _distance(shape, river)
    valley = smoothstep(away, 0, 0.45 * min(shape[0], 700))
    height = (0.3 + 0.7 * valley) * relief * hills + 1.6 * relief * valley
    return np.asarray(height, np.float32)


def _distance(shape: tuple[int, int], target: Any) -> Field:
    """Distance to a polygon in pixels, exact every eighth pixel and smooth between."""
    step = 8
    rows = np.arange(0, shape[0] + step, step)
    columns = np.arange(0, shape[1] + step, step)
    grid = np.meshgrid(columns, rows)
    shapely.prepare(target)
    coarse = shapely.distance(shapely.points(*grid), target)
    at_rows = np.stack([np.interp(np.arange(shape[0]), rows, line) for line in coarse.T], 1)
    return np.stack([np.interp(np.arange(shape[1]), columns, line) for line in at_rows]).astype(
        np.float32
    )


def _blocks(rng: np.random.Generator, shape: tuple[int, int], block: float) -> NDArray[np.object_]:
    """Cells between the tracks: Voronoi cells of a jittered grid."""
    rows, columns = shape
    grid = np.mgrid[-block : rows + block : block, -block : columns + block : block]
    seeds = grid.reshape(2, -1)[::-1].T + rng.uniform(-0.3, 0.3, (grid[0].size, 2)) * block
    area = shapely.box(-2 * block, -2 * block, columns + 2 * block, rows + 2 * block)
    cells = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(seeds), extend_to=area))
    cells = shapely.buffer(cells, -0.55, join_style="mitre")
    inside = shapely.intersects(cells, shapely.box(0, 0, columns, rows))
    return np.asarray(cells[inside & ~shapely.is_empty(cells)])


def _plots(rng: np.random.Generator, blocks: NDArray[np.object_]) -> NDArray[np.object_]:
    """Cut each block into strips that follow one direction."""
    centres = shapely.get_coordinates(shapely.centroid(blocks))
    angles = 0.5 * np.sin(centres[:, 0] / 260) + 0.5 * np.cos(centres[:, 1] / 210)
    angles += rng.normal(0, 0.15, len(blocks)) + rng.choice([0, np.pi / 2], len(blocks))
    strips, owners = [], []
    for number, (centre, angle) in enumerate(zip(centres, angles, strict=True)):
        corners = _strips(rng, centre, angle, rng.choice([7.0, 11.0, 17.0, 26.0]))
        strips.append(corners)
        owners.append(np.full(len(corners), number))
    boxes = shapely.polygons(np.concatenate(strips))
    return np.asarray(shapely.intersection(boxes, blocks[np.concatenate(owners)]))


def _strips(
    rng: np.random.Generator, centre: NDArray[Any], angle: float, width: float
) -> NDArray[Any]:
    """Corners (n, 4, 2) of strips side by side, each cut once somewhere along its length."""
    reach = 60.0
    edges = np.cumsum(
        np.concatenate([[-reach], width * rng.uniform(0.6, 1.5, int(2.4 * reach / width))])
    )
    cuts = rng.uniform(-14, 14, len(edges) - 1)
    low, high = edges[:-1], edges[1:]
    far = np.full_like(low, reach)
    halves = [(-far, cuts), (cuts, far)]
    frames = [
        np.stack(
            [
                np.stack([low, a], 1),
                np.stack([high, a], 1),
                np.stack([high, b], 1),
                np.stack([low, b], 1),
            ],
            1,
        )
        for a, b in halves
    ]
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.asarray(np.concatenate(frames) @ turn + centre)


def _cover(
    rng: np.random.Generator, shape: tuple[int, int], plots: NDArray[np.object_]
) -> NDArray[np.int64]:
    """Decide what each plot is: field, wood or village."""
    centres = shapely.get_coordinates(shapely.centroid(plots))
    x = np.clip(centres[:, 0].astype(int), 0, shape[1] - 1)
    y = np.clip(centres[:, 1].astype(int), 0, shape[0] - 1)
    woods = fractal(rng, shape, slope=1.9, longest=260)[y, x] > 0.95
    count = max(1, shape[0] * shape[1] // 34_000)
    towns = rng.uniform((0, 0), (shape[1], shape[0]), (count, 2))
    sizes = rng.uniform(9, 20, count)
    near = np.hypot(*(centres[:, None] - towns[None]).transpose(2, 0, 1)) < sizes
    return np.where(near.any(1), VILLAGE, np.where(woods, WOOD, FIRST_FIELD))


def _ground(
    rng: np.random.Generator,
    shape: tuple[int, int],
    river: Any,
    road: Any,
    plots: NDArray[np.object_],
    cover: NDArray[np.int64],
) -> NDArray[np.int32]:
    """Paint everything, the later over the earlier."""
    numbers = cover.copy()
    numbers[cover == FIRST_FIELD] = FIRST_FIELD + np.arange((cover == FIRST_FIELD).sum())
    ground = burn(zip(plots, numbers, strict=True), shape, TRACK)
    valley = burn([(_valley(river), 1)], shape, 0) == 1
    trees = fractal(rng, shape, slope=1.4, longest=40) > -0.1
    ground[valley] = np.where(trees, WOOD, BANK)[valley]
    water = burn([(river, 1)], shape, 0) == 1
    ground[water] = WATER
    ground[burn([(road, 1)], shape, 0) == 1] = ROAD
    return ground


def _road(rng: np.random.Generator, shape: tuple[int, int]) -> Any:
    rows, columns = shape
    x = np.linspace(-5, columns + 5, 60)
    y = rows * rng.uniform(0.2, 0.8) + 0.12 * rows * np.sin(x / columns * rng.uniform(2, 5) + 1)
    return shapely.linestrings(x, y).buffer(0.8)
