"""A small hub, served by the real server on loopback, with a key."""

import pytest

from haversack.demo import make_hub
from haversack.server import background

KEY = "the-key-of-the-tests"


@pytest.fixture(autouse=True)
def _nobodys_settings(monkeypatch, tmp_path):
    for name in ("MLHUB_API_KEY", "MLHUB_PROFILE", "MLHUB_ROOT_URL", "http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLHUB_HOME", str(tmp_path / "mlhub"))


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    root = tmp_path_factory.mktemp("hub")
    make_hub(root, small=True)
    with background(root, api_key=KEY) as server:
        yield server


@pytest.fixture(scope="session")
def open_hub(tmp_path_factory):
    root = tmp_path_factory.mktemp("open")
    make_hub(root, small=True)
    with background(root) as server:
        yield server


@pytest.fixture
def hub(served, monkeypatch):
    """The hub with its key, as the environment names them."""
    monkeypatch.setenv("MLHUB_ROOT_URL", served.url)
    monkeypatch.setenv("MLHUB_API_KEY", KEY)
    return served


@pytest.fixture
def key():
    return KEY
