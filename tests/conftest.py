"""What several parts test with: one small hub, made once."""

import pytest

from haversack.demo import make_hub


@pytest.fixture(scope="session")
def small_hub(tmp_path_factory):
    root = tmp_path_factory.mktemp("hub")
    make_hub(root, small=True)
    return root
