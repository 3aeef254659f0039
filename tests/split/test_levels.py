"""Levels of a pyramid are arrays like others to who saves them anew."""

import numpy as np

from haversack.split import SplitDataset, save_to_split_dataset


def test_a_level_that_is_saved_anew_keeps_the_users_metadata_alone(tmp_path):
    data, metadata = np.zeros((3, 8, 8), "u1"), {"by": "me"}
    level = save_to_split_dataset(data, tmp_path / "a", metadata=metadata).build_pyramid(1)[1]
    assert level.metadata == metadata
    assert level.info()["metadata"] == metadata
    again = save_to_split_dataset(level, tmp_path / "b")
    assert again.metadata == metadata
    assert b"pyramid" not in (tmp_path / "b" / "stack_metadata.json").read_bytes()
    assert len(SplitDataset(tmp_path / "a").pyramid) == 2
