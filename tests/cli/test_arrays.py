"""``info``, ``read``, ``verify``, ``convert`` and ``view`` of split arrays."""

import numpy as np
import pytest

from haversack.split import save_to_split_dataset


@pytest.fixture
def series(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = np.arange(6 * 3 * 8 * 9, dtype="u2").reshape(6, 3, 8, 9)
    save_to_split_dataset(data, "series", (4, None, None, None), frequency=2)
    return data
