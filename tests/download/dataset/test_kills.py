"""Killed at any moment, alone or two at once: nothing half stands under a final name."""

import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

from haversack.catalog import read_catalog
from haversack.download import download

_PROGRAM = """
import sys
from haversack.download import download
report = download(sys.argv[1], sys.argv[2], allow_hosts=["127.0.0.1"])
assert report.failed == 0, report
"""


@pytest.fixture
def bodies(farms, server):
    """Files of a dataset, small ones and some that keep their parts."""
    made = {}
    for n in range(60):
        size = 900_000 if n % 20 == 0 else 5_000
        made[f"more{n}"] = random.Random(n).randbytes(size)
        farms.add_item(f"more{n}", {"red": server.file(f"/more/{n}.tif", made[f"more{n}"])})
    return made


def _start(archive, out):
    ask = [sys.executable, "-c", _PROGRAM, str(archive), str(out)]
    return subprocess.Popen(ask, stderr=subprocess.PIPE)


def _check(out, bodies, *, whole=False):
    for name, body in bodies.items():
        place = out / f"farms/fields/{name}/red.tif"
        assert whole is False or place.exists(), name
        assert not place.exists() or place.read_bytes() == body, name


def _kill_often(archive, out, bodies, server, kills):
    moments = random.Random(kills)
    for count in range(kills):
        child = _start(archive, out)
        time.sleep(moments.uniform(0.3, 1.1))
        child.send_signal(signal.SIGKILL)
        child.communicate()
        _check(out, bodies)
        if count % 5 == 4:
            (out / "farms/mlhub_stac_assets.db").unlink(missing_ok=True)
        if count % 9 == 8:
            for path in (out / "farms").rglob("red.tif"):
                path.unlink()
    report = download(archive, out, allow_hosts=["127.0.0.1"])
    assert (report.failed, report.waiting, report.unverified) == (0, 0, 0)
    _check(out, bodies, whole=True)
    assert read_catalog(out / "farms").verify() == []
    left = [p for p in (out / "farms").rglob(".*") if p.name != ".haversack-lease"]
    assert left == []


def test_a_download_that_is_killed_is_mended_by_the_next(farms, bodies, source, out, server):
    _kill_often(farms.archive(source), out, bodies, server, 4)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_download_that_is_killed_200_times_is_mended_by_the_next(
    farms, bodies, source, out, server
):
    _kill_often(farms.archive(source), out, bodies, server, 200)


def test_the_second_of_two_goes_on_where_the_first_was_killed(
    farms, bodies, source, out, server, serve_ranges
):
    killed = threading.Event()
    for n in range(40, 60):  # these come to the second alone
        body = bodies[f"more{n}"]

        def late(asked, body=body):
            killed.wait(60)
            return serve_ranges(asked, body)

        server.answer(f"/more/{n}.tif", late)
    archive = farms.archive(source)
    first = _start(archive, out)
    while not (out / "farms/.haversack-lease").exists():
        time.sleep(0.01)
    second = _start(archive, out)
    while len(_published(out)) < 10:
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    published = _published(out)
    killed.set()
    _, said = second.communicate(timeout=60)
    assert second.returncode == 0, said.decode()
    _check(out, bodies, whole=True)
    asked = Counter(asked.path for asked in server.asked if asked.method == "GET")
    # What the first had published is not asked for again; what it had not was not whole.
    assert published
    assert {asked[f"/more/{n}.tif"] for n in published} == {1}
    assert max(asked.values()) <= 2


def _published(out):
    found = (out / f"farms/fields/more{n}/red.tif" for n in range(60))
    return [n for n, path in enumerate(found) if path.exists()]
