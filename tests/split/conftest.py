import numpy as np
import pytest

from haversack.split import save_to_split_dataset


@pytest.fixture
def volumes():
    """A series of four volumes that compresses."""
    rng = np.random.default_rng(7)
    return rng.integers(0, 300, (11, 3, 41, 37)).astype("uint16")


@pytest.fixture
def saved(tmp_path, volumes):
    """The series in 2 x 2 blocks of several chunks."""
    return save_to_split_dataset(volumes, tmp_path / "array", block_size=(9, None, 30, None))
