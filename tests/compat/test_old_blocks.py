"""Blocks of the same arguments are the old package's, but for what docs/split.md says it got wrong.

The same program runs with both packages on cases that are drawn at random; what it finds is JSON.
"""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.compat

# Beside the environment that runs the tests, as tests/compat/environments.sh makes it.
OLD_PYTHON = Path(sys.prefix) / "compat-split" / "bin" / "python"
PACKAGES = {"split_dataset": OLD_PYTHON, "haversack": Path(sys.executable)}
CASES = 600

DESCRIBE = """
import json, sys, warnings
import numpy as np
from {package} import Blocks

warnings.simplefilter("ignore")


def numbers(values):
    if isinstance(values, dict):
        return {{key: numbers(value) for key, value in values.items()}}
    if isinstance(values, (list, tuple, np.ndarray)):
        return [numbers(value) for value in values]
    return getattr(values, "item", lambda: values)()


def error(call, *args):
    try:
        return numbers(call(*args))
    except Exception as error:
        return "ValueError" if isinstance(error, ValueError) else type(error).__name__


def layout(blocks):
    return dict(
        dim_split=sorted(int(axis) % blocks.n_dims for axis in blocks.dim_split),
        about=numbers(blocks.serialize()),
        shape_block=numbers(blocks.shape_block),
        padding=numbers(blocks.padding),
        crop=numbers(blocks.crop),
        shape_full=numbers(blocks.shape_full),
        shape_cropped=numbers(blocks.shape_cropped),
        n_dims=blocks.n_dims,
        origin=numbers(blocks.starts),
    )


def grid(blocks):
    some = range(min(40, int(blocks.n_blocks)))
    dropped = blocks.drop_dim(0) if blocks.n_dims > 1 else blocks
    every = np.arange(int(blocks.n_blocks))
    return dict(
        n_blocks=int(blocks.n_blocks),
        starts=numbers(blocks.block_starts),
        ends=numbers(blocks.block_ends),
        centres=numbers(blocks.centres()),
        slices=[numbers([cell, [[w.start, w.stop] for w in where]])
                for cell, where in blocks.slices()],
        pairs=numbers(list(blocks.slices(as_tuples=True))),
        items=[[numbers([w.start, w.stop]) for w in blocks[n]] for n in some],
        cells=numbers(blocks.linear_to_cartesian(every)),
        again=numbers(blocks.cartesian_to_linear(blocks.linear_to_cartesian(every))),
        cell=[numbers(blocks.linear_to_cartesian(n)) for n in some],
        neighbours=[numbers(blocks.neighbour_blocks(n)) for n in some],
        dropped=numbers(dropped.serialize()),
        none=[error(blocks.linear_to_cartesian, n) for n in (-1, int(blocks.n_blocks))],
        no_item=[error(blocks.__getitem__, n) for n in (-1, int(blocks.n_blocks))],
        no_cell=error(blocks.cartesian_to_linear, (0,) * (blocks.n_dims + 1)),
        as_slices=[[w.start, w.stop] for w in blocks.block_to_slices([(1, 2), (3, 4)])],
    )


def places(blocks, points):
    sizes = [int(n) for n in blocks.shape_cropped]
    origin = [int(n) for n in blocks.starts]
    found = []
    for point in points:
        at = [o + int(p * n) + 0.5 for o, p, n in zip(origin, point, sizes)]
        first = [int(a) for a in at]
        edge = [(f - o) % b == 0 and f > o
                for f, o, b in zip(first, origin, blocks.shape_block)]
        first = [f + 1 if e and b > 1 else o if e else f
                 for f, e, o, b in zip(first, edge, origin, blocks.shape_block)]
        ends = [o + n for o, n in zip(origin, sizes)]
        inside = all(f < e for f, e in zip(first, ends))
        taken = [numbers(blocks.blocks_to_take(first, [min(f + 1 + k, e)
                 for f, e in zip(first, ends)])) for k in (0, 2, 99)] if inside else None
        found.append([numbers(list(blocks.block_containing_coords(at))), taken])
    return found


def describe(case):
    blocks = Blocks(**case["arguments"])
    found = dict(layout=layout(blocks), grid=grid(blocks), places=places(blocks, case["points"]))
    found["changed"] = error(change, blocks, *case["change"])
    found["changed grid"] = error(grid, blocks)
    return found


def change(blocks, name, value):
    setattr(blocks, name, value)
    return layout(blocks) | dict(dim_split=None)


found = [error(describe, case) for case in json.load(open("cases.json"))]
json.dump(found, open("{package}.json", "w"))
"""


def draw(rng):
    """Draw arguments of all kinds, and points as parts of the array."""
    ndim = rng.randint(1, 4)
    full = [rng.randint(1, 12) for _ in range(ndim)]
    arguments = {"shape_full": full}
    sizes = [rng.choice([None, rng.randint(1, 8), rng.randint(1, 14)]) for _ in full]
    kind = rng.choice(["full", "numbers", "short", "one", "none"])
    if kind == "full":
        arguments["shape_block"] = sizes
    elif kind == "numbers":
        arguments["shape_block"] = [size or 3 for size in sizes]
    elif kind == "short":
        arguments["shape_block"] = sizes[: rng.randint(1, ndim)]
    elif kind == "one":
        arguments["shape_block"] = rng.randint(1, 6)
    axes = rng.sample(range(ndim), rng.randint(1, ndim))
    split = rng.choice([None, None, axes, sorted(axes), axes[0], [*range(len(axes))]])
    if split is not None:
        arguments["dim_split"] = split
    if rng.random() < 0.4:
        counts = [rng.randint(1, 5) for _ in range(rng.randint(1, ndim))]
        arguments["blocks_number"] = rng.choice([counts, counts[0]])
        if isinstance(split, list):
            arguments["dim_split"] = sorted(split)
    pads = [rng.randint(0, 3) for _ in full]
    arguments["padding"] = rng.choice([0, 0, pads[0], pads, pads[: rng.randint(1, ndim)]])
    crop = [[rng.randint(0, n // 3), rng.randint(0, n // 3)] for n in full]
    if rng.random() < 0.3:
        arguments["crop"] = crop
    change = rng.choice(
        [
            ["shape_full", [n + rng.randint(0, 5) for n in full]],
            ["shape_block", [size or 3 for size in sizes]],
            ["padding", pads],
            ["crop", rng.choice([crop, None])],
        ]
    )
    points = [[rng.random() for _ in full] for _ in range(3)]
    return {"arguments": arguments, "points": points, "change": change}


def for_the_old(case):
    """Say it so that the old package understands it: it takes dim_split=0 for none."""
    if case["arguments"].get("dim_split") != 0:
        return case
    return {**case, "arguments": {**case["arguments"], "dim_split": [0]}}


def is_cut_short(layout):
    """Whether padding reaches the end, where the old package has a block less."""
    geometry = zip(layout["shape_cropped"], layout["shape_block"], layout["padding"], strict=True)
    return any(-(-(n - pad) // size) != -(-n // size) for n, size, pad in geometry)


def with_lower_neighbours(found):
    """Keep the neighbours that the old package gives: those before the block on every axis."""
    cells = [cell for cell, _ in found["slices"]]
    kept = [
        [
            near
            for near in neighbours
            if all(a <= b for a, b in zip(cells[near], cells[number], strict=True))
        ]
        for number, neighbours in enumerate(found["neighbours"])
    ]
    return {**found, "neighbours": kept}


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("blocks")
    rng = random.Random(6)
    cases = [draw(rng) for _ in range(CASES)]
    for package, python in PACKAGES.items():
        is_old = package == "split_dataset"
        told = [for_the_old(case) if is_old else case for case in cases]
        (folder / "cases.json").write_text(json.dumps(told))
        program = DESCRIBE.format(package=package)
        subprocess.run([python, "-c", program], cwd=folder, check=True)
    read = [
        json.loads((folder / f"{name}.json").read_text()) for name in ("split_dataset", "haversack")
    ]
    return list(zip(cases, *read, strict=True))


def test_blocks_are_laid_out_as_the_old_package_did(answers):
    compared = {"all": 0, "changed": 0}
    for case, old, ours in answers:
        if isinstance(old, str):
            continue  # it does not take these arguments, or not these together
        assert isinstance(ours, dict), (case, ours)
        assert ours["layout"] == old["layout"], case
        if is_cut_short(old["layout"]):
            continue
        compared["all"] += 1
        assert with_lower_neighbours(ours["grid"]) == old["grid"], case
        assert ours["places"] == old["places"], case
        if isinstance(old["changed"], str):
            continue  # padding that reaches beyond the end
        assert ours["changed"] == old["changed"], case
        if not is_cut_short(old["changed"]):
            compared["changed"] += 1
            assert with_lower_neighbours(ours["changed grid"]) == old["changed grid"], case
    assert compared["all"] > CASES / 5, compared
    assert compared["changed"] > CASES / 6, compared


def test_what_the_old_package_does_not_take_is_cut_or_refused_by_a_clear_error(answers):
    taken = 0
    for case, old, ours in answers:
        if isinstance(old, str):
            assert isinstance(ours, dict) or ours == "ValueError", (case, ours)
            taken += isinstance(ours, dict)
    assert taken > CASES / 10, taken
