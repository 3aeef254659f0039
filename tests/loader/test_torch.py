"""A packed dataset is a map-style torch dataset as it stands."""

import numpy as np
import pytest

import haversack

pytestmark = pytest.mark.torch


@pytest.fixture
def dataset(tmp_path):
    with haversack.PackWriter(tmp_path / "packed") as writer:
        for number in range(200):
            writer.append(np.full((2, 3), number, np.int32), key=f"r{number}")
    with haversack.open(tmp_path / "packed") as opened:
        yield opened


def _first_values(records):
    return [int(record.data[0, 0]) for record in records]


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_workers_give_every_record_once_per_epoch(dataset, start):
    from torch.utils.data import DataLoader

    loader = DataLoader(
        dataset,
        batch_size=16,
        shuffle=True,
        num_workers=2,
        multiprocessing_context=start,
        collate_fn=_first_values,
        persistent_workers=True,
    )
    for _ in range(2):
        assert sorted(value for batch in loader for value in batch) == list(range(200))
