"""A download that is interrupted or killed keeps what is whole, and the next one goes on."""

import os
import signal
import subprocess
import sys
import time

import pytest

from haversack.download import download
from haversack.download.lease import LEASE_NAME

FETCH = """
import sys
from haversack.download import download
try:
    download(sys.argv[1], sys.argv[2], allow_hosts=["127.0.0.1"])
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_what_is_whole_is_kept_and_the_rest_comes_later(
    farms, source, out, server, make_answer, serve_ranges, how
):
    stalling = True

    def answer(asked):
        if stalling:
            return make_answer(200, b"image 1" * 100, cut=70, end="stall")
        return serve_ranges(asked, b"image 1" * 100)

    server.answer("/1/red.tif", answer)
    archive = farms.archive(source)
    command = [sys.executable, "-c", FETCH, str(archive), str(out)]
    environment = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
    process = subprocess.Popen(command, env=environment)
    others = [out / f"farms/fields/item{n}/red.tif" for n in (0, 2)]
    deadline = time.monotonic() + 30
    while not all(path.exists() for path in others) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(how)
    assert process.wait(5) == (130 if how == signal.SIGINT else -signal.SIGKILL)
    assert (out / "farms" / LEASE_NAME).exists() == (how == signal.SIGKILL)
    assert not (out / "farms/fields/item1/red.tif").exists()
    (out / "farms/fields/item1/.0123456789abcdef.partial").write_bytes(b"half a document")
    stalling = False
    before = len(server.asked)
    report = download(archive, out, allow_hosts=["127.0.0.1"])
    assert report.failed == 0
    assert (out / "farms/fields/item1/red.tif").read_bytes() == b"image 1" * 100
    again = [asked.path for asked in server.asked[before:] if asked.method == "GET"]
    assert not {"/0/red.tif", "/2/red.tif"} & set(again)
    assert not [path for path in out.rglob(".*") if path.is_file()]
