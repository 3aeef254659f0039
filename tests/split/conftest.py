import numpy as np
import pytest

from haversack.split import SplitDataset, save_to_split_dataset
from haversack.split.blockfiles import encoding


def save_tiled(spec, folder, compression="blosc"):
    """Make an array, and save it in tiles of which each row is a Blosc block.

    ``spec`` has its shape and dtype, and the shapes of blocks and tiles.
    """
    shape, dtype, block, tile = spec
    array = (np.arange(np.prod(shape)) // 3 % 100).astype(dtype).reshape(shape)
    row = int(np.prod(tile[1:])) * array.itemsize
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "chunk_shape_for", lambda *_: tile)
        patch.setattr(encoding, "blosc_block_size", lambda *_: row)
        save_to_split_dataset(array, folder, block_size=block, compression=compression)
    dataset = SplitDataset(folder)
    assert all(dataset._block(number).rows is not None for number in range(dataset.n_blocks))
    return array, dataset


@pytest.fixture
def volumes():
    """A series of four volumes that compresses."""
    rng = np.random.default_rng(7)
    return rng.integers(0, 300, (11, 3, 41, 37)).astype("uint16")


@pytest.fixture
def saved(tmp_path, volumes):
    """The series in 2 x 2 blocks of several chunks."""
    return save_to_split_dataset(volumes, tmp_path / "array", block_size=(9, None, 30, None))
