"""The server starts, answers and ends without leaving anything."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest

from haversack.errors import MissingExtraError, UsageError
from haversack.server import background, create_app, serve

SERVE = (
    "import sys; from haversack.server import serve\n"
    "serve(sys.argv[1], port=0, ready=lambda url: print(url, flush=True))\n"
    "print('ended', flush=True)"
)


def _threads():
    return {thread for thread in threading.enumerate() if thread.is_alive()}


def test_background_answers_at_once_and_leaves_no_thread(hub):
    before = _threads()
    with background(hub) as server:
        assert server.api_root == server.url + "/mlhub/v1/"
        with urllib.request.urlopen(server.api_root + "datasets") as answer:
            assert answer.status == 200
    deadline = time.monotonic() + 10
    while _threads() - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _threads() - before


def test_background_ends_also_when_the_block_fails(hub):
    with pytest.raises(KeyboardInterrupt), background(hub) as server:
        raise KeyboardInterrupt
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(server.url)


def test_stopping_twice_does_no_harm(hub):
    with background(hub) as server:
        server.stop()


def test_an_open_connection_does_not_hold_the_end(hub):
    with background(hub) as server:
        host, port = server.url.removeprefix("http://").split(":")
        idle = socket.create_connection((host, int(port)))
        idle.sendall(b"GET /mlhub/v1/datasets HTTP/1.1\r\nHost: localhost\r\n")
    idle.close()


def _with_large_asset(hub):
    with (hub / "floods" / "floods_source" / "flood 1" / "VV.tif").open("wb") as file:
        file.truncate(100_000_000)
    return hub


def _stall(url):
    """Ask for the large asset and read no more than the beginning of its answer."""
    item = url + "/mlhub/v1/collections/floods_source/items/flood%201"
    with urllib.request.urlopen(item) as answer:
        path = json.load(answer)["assets"]["VV"]["href"].removeprefix(url)
    host, port = url.removeprefix("http://").split(":")
    stalled = socket.create_connection((host, int(port)))
    stalled.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert stalled.recv(8) == b"HTTP/1.1"
    return stalled


def test_a_client_that_stopped_reading_does_not_hold_the_end(hub, caplog):
    with background(_with_large_asset(hub)) as server:
        stalled = _stall(server.url)
    stalled.close()
    assert "Traceback" not in caplog.text


def test_two_servers_run_beside_each_other(hub):
    with background(hub) as one, background(hub) as two:
        assert one.url != two.url


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_returns_after_a_signal(hub, number):
    program = [sys.executable, "-W", "error", "-c", SERVE, str(hub)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        with urllib.request.urlopen(url + "/healthz") as answer:
            assert answer.status == 200
        os.kill(process.pid, number)
        said, complained = process.communicate(timeout=30)
    assert (process.returncode, said) == (0, b"ended\n")
    assert b"Error" not in complained
    assert b"Traceback" not in complained


@pytest.mark.parametrize("stalls", [True, False])
def test_signals_one_after_the_other_end_it_quietly(hub, stalls):
    program = [sys.executable, "-W", "error", "-c", SERVE, str(_with_large_asset(hub))]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        stalled = _stall(url) if stalls else None
        for _ in range(3):
            os.kill(process.pid, signal.SIGINT)
            time.sleep(0.01)
        said, complained = process.communicate(timeout=30)
    if stalled is not None:
        stalled.close()
    assert (process.returncode, said) == (0, b"ended\n")
    assert b"Error" not in complained
    assert b"Traceback" not in complained


def test_how_many_datasets_are_served_is_said(hub, tmp_path, caplog):
    caplog.set_level(logging.INFO, "haversack.server")
    empty = tmp_path / "empty"
    empty.mkdir()
    for root in (hub, empty):
        serve(root, port=0, ready=lambda _: signal.raise_signal(signal.SIGINT))
    told = [(one.levelname, one.message) for one in caplog.records if one.module == "run"]
    assert told[0] == ("INFO", f"serving 2 datasets in {hub}")
    assert told[1][0] == "WARNING"
    assert told[1][1].startswith(f"no datasets in {empty} yet")


def test_a_taken_port_is_named(hub):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port}"):
            serve(hub, port=port)


def test_a_host_of_another_machine_is_named(hub):
    with pytest.raises(UsageError, match=r"192\.0\.2\.1"):
        serve(hub, host="192.0.2.1", port=0)


@pytest.mark.parametrize("options", [{"api_key": ""}, {"api_key": " "}, {"base_url": "hub.org"}])
def test_options_that_make_no_sense_are_refused(hub, options):
    with pytest.raises(UsageError):
        create_app(hub, **options)


def test_a_missing_extra_says_what_to_install(hub, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'haversack\[server\]'"):
        background(hub)


def test_odd_requests_are_refused_and_the_server_lives(hub):
    odd = [
        b"GET /mlhub/v1/datasets HTTP/1.1\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /mlhub/v1/datasets/%00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /mlhub/v1/datasets?limit=%ff&text=%ff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ]
    with background(hub) as server:
        host, port = server.url.removeprefix("http://").split(":")
        for request in odd:
            with socket.create_connection((host, int(port)), timeout=20) as connection:
                connection.sendall(request)
                assert not connection.recv(100).startswith(b"HTTP/1.1 5")
        with urllib.request.urlopen(server.url + "/healthz") as answer:
            assert answer.status == 200
