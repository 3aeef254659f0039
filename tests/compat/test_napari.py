"""napari, in its own environment and without a window, finds our reader and shows what it gives."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from haversack.split import SplitDataset, save_to_split_dataset

pytestmark = pytest.mark.compat

# Beside the environment that runs the tests, as tests/compat/environments.sh makes it.
NAPARI = Path(sys.prefix) / "compat-napari" / "bin" / "python"
CHECK = """
import npe2
from pathlib import Path
import haversack.view

manifest = npe2.PluginManifest.from_file(Path(haversack.view.__file__).parent / "napari.yaml")
manifest.validate_imports()
print(manifest.contributions.readers[0].command)
"""
SHOW = """
import json, sys
import numpy as np
import npe2
from napari.components import ViewerModel

npe2.PluginManager.instance().discover()
[layer] = ViewerModel().open(sys.argv[1], plugin="haversack")
levels = layer.data if layer.multiscale else [layer.data]
np.save("plane.npy", np.asarray(levels[0][3, 4]))
about = [type(levels[0]).__name__, [list(level.shape) for level in levels]]
limits = list(layer.contrast_limits)
print(json.dumps([*about, list(layer.scale), limits, list(map(str, layer.units))]))
"""


def napari(program, *arguments, cwd):
    done = subprocess.run(
        [NAPARI, "-W", "ignore", "-c", program, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_manifest_is_valid(tmp_path):
    assert napari(CHECK, cwd=tmp_path) == "haversack.get_reader\n"


@pytest.mark.parametrize("pyramid", [False, True])
def test_an_array_is_shown_lazily_at_its_scale(tmp_path, pyramid):
    data = np.random.default_rng(5).poisson(100, (6, 8, 300, 310)).astype("uint16")
    size, resolution = (2, None, None, None), (2.0, 0.5, 0.5)
    save_to_split_dataset(
        data, tmp_path / "fish", block_size=size, resolution=resolution, units="um", frequency=4
    )
    if pyramid:
        SplitDataset(tmp_path / "fish").build_pyramid()
    kind, shapes, scale, (black, white), units = json.loads(
        napari(SHOW, str(tmp_path / "fish"), cwd=tmp_path)
    )
    assert kind == "SplitDataset"  # not an array that was read
    assert shapes[0] == list(data.shape)
    assert (len(shapes) > 1) is pyramid
    assert scale == [0.25, *resolution]
    assert units == ["second", *["micrometer"] * 3]
    assert 50 < black < 100 < white < 160
    np.testing.assert_array_equal(np.load(tmp_path / "plane.npy"), data[3, 4])
