"""A served hub, and the command line run in this process."""

import shutil
from dataclasses import dataclass

import pytest

from haversack.cli.main import run
from haversack.server import background

KEY = "the-key-of-the-test-hub"


@dataclass
class Result:
    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def hub(small_hub, tmp_path_factory):
    # A copy, for the server keeps its secret beside what it serves.
    root = tmp_path_factory.mktemp("served") / "hub"
    shutil.copytree(small_hub, root)
    with background(root, api_key=KEY) as server:
        yield server


@pytest.fixture
def haversack(capfd, monkeypatch, tmp_path):
    """Run one command in an empty directory, with no settings of the user's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLHUB_HOME", str(tmp_path / "home"))
    for name in ("MLHUB_API_KEY", "MLHUB_PROFILE", "MLHUB_ROOT_URL", "HAVERSACK_API_KEY"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments):
        code = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Result(code, out, err)

    return call


@pytest.fixture
def at_hub(haversack, hub, monkeypatch):
    """The same, with the test hub and its key configured."""
    monkeypatch.setenv("MLHUB_ROOT_URL", hub.api_root)
    monkeypatch.setenv("MLHUB_API_KEY", KEY)
    return haversack
