"""What several parts test with: one small hub, made once."""

import signal

import pytest
from hypothesis import HealthCheck, settings

from haversack.demo import make_hub

# A shell has what it starts in the background ignore Ctrl-C, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A machine that is busy makes no test fail.
settings.register_profile(
    "haversack", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("haversack")


@pytest.fixture(scope="session")
def small_hub(tmp_path_factory):
    root = tmp_path_factory.mktemp("hub")
    make_hub(root, small=True)
    return root
