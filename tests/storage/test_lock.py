"""One holder at a time, and a dead one holds nothing."""

import subprocess
import sys
import threading

import pytest

from haversack.errors import LockTimeoutException, StorageError
from haversack.storage.lock import exclusive


def test_one_holder_at_a_time(tmp_path):
    inside, most = 0, 0

    def work():
        nonlocal inside, most
        for _ in range(50):
            with exclusive(tmp_path / "lock"):
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (inside, most) == (0, 1)


def test_waiting_ends_with_a_named_error(tmp_path):
    with (
        exclusive(tmp_path / "lock"),
        pytest.raises(LockTimeoutException, match="held by another writer"),
        exclusive(tmp_path / "lock", timeout=0.01),
    ):
        pass


def test_a_killed_holder_frees_the_lock(tmp_path):
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from haversack.storage.lock import exclusive\n"
        "with exclusive(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    died = subprocess.run([sys.executable, "-c", program, str(tmp_path / "lock")], check=False)
    assert died.returncode == -9
    with exclusive(tmp_path / "lock", timeout=0):
        pass


@pytest.mark.parametrize("kind", ["dangling link", "link", "directory"])
def test_what_is_no_file_is_refused_and_nothing_is_made_where_a_link_leads(tmp_path, kind):
    path, target = tmp_path / "array" / "lock", tmp_path / "elsewhere"
    path.parent.mkdir()
    if kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(target)
    if kind == "link":
        target.write_text("")
    with pytest.raises(StorageError, match=f"lock cannot be locked: a {kind.split()[-1]} stands"):
        exclusive(path).__enter__()
    assert target.exists() == (kind == "link")
