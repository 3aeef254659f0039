"""Every expected failure is one clear line, an exit code, and no traceback."""

import errno
import json
import os
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

import haversack as library
from haversack.storage import publish


def _assert_one_line(result, code, *words):
    assert result.code == code, result.err
    lines = result.err.strip().splitlines()
    assert len(lines) == 1, result.err
    assert lines[0].startswith("haversack: ")
    for word in words:
        assert word in lines[0]


def test_unknown_dataset(at_hub):
    _assert_one_line(at_hub("info", "nothing_here"), 3, "nothing_here")
    _assert_one_line(at_hub("download", "nothing_here", "-q"), 3, "nothing_here")


def test_wrong_key_is_refused_and_never_shown(at_hub):
    result = at_hub("list", "--api-key", "wrong-key-1234")
    _assert_one_line(result, 4)
    assert "wrong-key-1234" not in result.err + result.out


def test_missing_server(haversack):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    result = haversack("list", "--hub", f"http://127.0.0.1:{port}/mlhub/v1/", "--api-key", "k")
    _assert_one_line(result, 5, f"127.0.0.1:{port}")


@pytest.mark.parametrize("verb", ["list", "configure"])
def test_a_damaged_profiles_file(haversack, tmp_path, verb):
    (tmp_path / "home").mkdir()
    (tmp_path / "home/profiles").write_text("api_key = open-sesame")
    result = haversack(verb)
    _assert_one_line(result, 7, "home/profiles", "mend it")
    assert "open-sesame" not in result.err


def test_no_hub_named(haversack):
    _assert_one_line(haversack("list", "--api-key", "k"), 5, "MLHUB_ROOT_URL")


def test_info_of_neither_a_path_nor_a_dataset_of_the_hub_says_both(at_hub):
    result = at_hub("info", "nothing_here")
    _assert_one_line(result, 3, "there is no path nothing_here; as a dataset of a hub: ")


def test_info_of_no_path_where_no_hub_is_set_says_so_first(haversack):
    result = haversack("info", "nosuch", "--api-key", "k")
    _assert_one_line(result, 3, "haversack: there is no path nosuch; ", "no hub is set")


@pytest.mark.parametrize(
    "command",
    [
        "info {}",
        "verify {}",
        "read {}",
        "view {} --out new.png",
        "convert {} new --to split",
        "convert {} new --to npy",
    ],
)
def test_what_is_not_there_and_what_is_no_dataset_have_codes_of_their_own(
    haversack, tmp_path, command
):
    (tmp_path / "letter.txt").write_text("Dear reader")
    (tmp_path / "empty").mkdir()
    empty = 3 if "split" in command else 7  # a folder of pictures may be empty; a dataset is not
    for name, code in (("nothere", 3), ("./nothere", 3), ("letter.txt", 7), ("empty", empty)):
        _assert_one_line(haversack(*command.format(name).split()), code, name.lstrip("./"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "letter.txt"]


def test_existing_output(haversack, at_hub, tmp_path):
    at_hub("download", "demo_crop_seasons", "-o", "data", "-q")
    (tmp_path / "chips").mkdir()
    (tmp_path / "chips" / "precious").write_text("mine")
    _assert_one_line(at_hub("pack", "data/demo_crop_seasons", "chips", "-q"), 6, "chips")
    assert (tmp_path / "chips" / "precious").read_text() == "mine"


@pytest.mark.parametrize("place", ["letter.txt", "letter.txt/data"])
@pytest.mark.parametrize("option", ["-o", "--asset-output"])
def test_an_output_that_is_a_file(at_hub, tmp_path, place, option):
    (tmp_path / "letter.txt").write_text("mine")
    result = at_hub("download", "demo_crop_seasons", "-q", option, place)
    _assert_one_line(result, 6, "letter.txt is a file, not a directory")
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_full_disk(at_hub, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(publish.os, "fsync", full)
    result = at_hub("download", "demo_crop_seasons", "-q")
    assert result.code == 8
    assert "disk is full" in result.err
    assert "Traceback" not in result.err


def test_missing_path(haversack):
    _assert_one_line(haversack("info", "./nowhere"), 3, "nowhere")
    _assert_one_line(haversack("verify", "nowhere"), 3, "nowhere")
    _assert_one_line(haversack("read", "nowhere"), 3, "nowhere")


def test_path_that_is_something_else(haversack, tmp_path):
    (tmp_path / "text").write_text("hello")
    _assert_one_line(haversack("verify", "text"), 7, "text")


def test_unknown_record_and_bad_predicate(haversack):
    with library.PackWriter("packed") as writer:
        writer.append(np.zeros(3), key="a", cloud=1)
    _assert_one_line(haversack("read", "packed", "b"), 3, "'b'")
    _assert_one_line(haversack("read", "packed", "--where", "no_such_column < 3"), 2)


@pytest.mark.parametrize(
    "options",
    [
        ("--bbox", "1,2,three,4"),
        ("--bbox", "1,2,3"),
        ("--datetime", "yesterday"),
        ("--intersects", "."),
        ("--max-rate", "-1"),
        ("--name", ""),
        ("--collection", "no_such_collection"),
    ],
)
def test_wrong_filters(at_hub, options):
    _assert_one_line(at_hub("download", "demo_crop_seasons", "-q", *options), 2)


def test_an_area_that_is_not_there(at_hub):
    options = ("--intersects", "missing.json")
    _assert_one_line(at_hub("download", "farms", *options), 3, "missing.json does not exist")


def test_filters_that_leave_nothing_say_which(at_hub):
    result = at_hub("download", "demo_crop_seasons", "-q", "--datetime", "1999-01-01")
    _assert_one_line(result, 3, "datetime")


def test_port_in_use(haversack, hub, tmp_path):
    port = hub.url.rsplit(":", 1)[1]
    _assert_one_line(haversack("serve", tmp_path, "--port", port), 2, port)


def test_unknown_verb_points_to_help(haversack):
    result = haversack("lsit")
    assert result.code == 2
    assert "Traceback" not in result.err


def test_closed_pipe_is_no_error(tmp_path):
    with library.PackWriter(tmp_path / "packed") as writer:
        for number in range(2000):
            writer.append(np.zeros(1), number=number, text="x" * 100)
    command = f"{sys.executable} -m haversack read {tmp_path}/packed --limit 2000 | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert "Error" not in done.stderr
    assert "Traceback" not in done.stderr


def test_an_existing_file_is_not_overwritten_by_read(haversack, tmp_path):
    with library.PackWriter("packed") as writer:
        writer.append(np.zeros(3), key="a")
    (tmp_path / "one.npy").write_text("mine")
    _assert_one_line(haversack("read", "packed", "a", "--out", "one.npy"), 6, "one.npy")
    assert (tmp_path / "one.npy").read_text() == "mine"
    _assert_one_line(haversack("read", "packed", "--out", "two.npy"), 2, "KEY")


def test_json_is_json_whatever_the_metadata(haversack):
    with library.PackWriter("packed") as writer:
        writer.append(np.zeros(3), key="a", bad=float("nan"), text="\x1b[31m\n")
    assert json.loads(haversack("read", "packed", "--json").out)[0]["bad"] is None
    assert "\x1b" not in haversack("read", "packed").out


def test_no_bars_are_drawn_into_a_log(haversack, tmp_path):
    library.pack([(np.arange(3), {})], tmp_path / "packed")
    assert "%" not in haversack("verify", str(tmp_path / "packed")).err


def test_an_ended_reader_of_a_table_is_no_error(tmp_path):
    with library.PackWriter(tmp_path / "packed") as writer:
        writer.append(np.zeros(3), key="a", **{f"name_{n}": n for n in range(5000)})
    command = f"set -o pipefail; {sys.executable} -m haversack info {tmp_path}/packed | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_sigterm_leaves_no_temporary(tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-m", "haversack", "demo", "--small", "-o", str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    assert child.stdout is not None
    while b"2/6" not in child.stdout.readline():
        pass
    child.terminate()
    child.communicate(timeout=30)
    assert child.returncode == 143
    assert not list(tmp_path.glob("haversack-demo-*"))


class _Faulty(BaseHTTPRequestHandler):
    """Answers the status that the path's first part says, with a web page."""

    def do_GET(self):
        page = b"<html>please log in</html>"
        self.send_response(int(self.path.split("/")[1]))
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def faulty():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Faulty) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
@pytest.mark.parametrize(
    "source", ["farms/catalog.json", "farms.tar.gz", "farms", "items.ndjson", "folder/", "search"]
)
@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (404, 3, "it does not exist"),
        (410, 3, "it is gone"),
        (401, 4, "the key is missing or refused"),
        (403, 4, "access is refused"),
        (501, 5, "the server failed"),
    ],
)
def test_a_source_that_is_not_had_ends_with_the_code_of_its_reason(
    haversack, faulty, tmp_path, source, options, status, code, says
):
    search = ("--search",) if source == "search" else ()
    result = haversack("download", f"{faulty}/{status}/{source}", "-q", *search, *options)
    _assert_one_line(result, code, f"HTTP {status}", says, source)
    assert not list(tmp_path.rglob("*.tar.gz"))


@pytest.mark.parametrize("source", ["farms/catalog.json", "farms.tar.gz", "farms", "items.ndjson"])
def test_a_web_page_in_place_of_a_source_is_no_source(haversack, faulty, source):
    _assert_one_line(haversack("download", f"{faulty}/200/{source}", "-q"), 7, source)


@pytest.mark.parametrize("source", ["farms/catalog.json", "farms.tar.gz", "folder/"])
def test_a_source_whose_server_is_not_there(haversack, monkeypatch, source):
    from haversack.download import hosts, http

    for module in (hosts, http):
        monkeypatch.setattr(module, "pause", lambda *_: 0.01)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{free.getsockname()[1]}"
    _assert_one_line(haversack("download", f"http://{place}/{source}", "-q"), 5, place)


@pytest.mark.parametrize(
    "source", ["./nowhere", "nowhere.txt", "nowhere.tar.gz", "nowhere.parquet"]
)
def test_a_source_that_is_a_path_where_nothing_stands(haversack, source):
    _assert_one_line(haversack("download", source, "-q"), 3, source.removeprefix("./"))


def test_a_list_of_urls_that_is_no_text(haversack, tmp_path):
    (tmp_path / "urls.txt").write_bytes(b"\xff\xfe\x00")
    _assert_one_line(haversack("download", "urls.txt", "-q"), 7, "urls.txt")


@pytest.mark.parametrize("verb", ["info", "verify", "read"])
def test_a_url_where_a_path_is_wanted_is_to_be_downloaded_first(haversack, verb):
    result = haversack(verb, "http://127.0.0.1:9/farms/catalog.json")
    _assert_one_line(result, 2, "haversack download")


@pytest.mark.parametrize(
    "arguments",
    [
        ("convert", "a.npy", "", "--to", "split"),
        ("convert", "", "new", "--to", "split"),
        ("convert", "", "new"),
        ("pack", "", "new"),
        ("pack", "a", ""),
        ("merge", "a", "", "new"),
        ("merge", "a", ""),
        ("info", ""),
        ("verify", ""),
        ("repair", ""),
        ("compact", ""),
        ("read", ""),
        ("read", "a", "0", "--out", ""),
        ("view", "", "--out", "a.png"),
        ("view", "a", "--out", ""),
        ("serve", ""),
        ("download", ""),
        ("download", "a", "--output", ""),
    ],
)
def test_an_empty_path_is_wrong_use_and_nothing_is_written(haversack, tmp_path, arguments):
    np.save("a.npy", np.zeros(3))
    before = sorted(each.name for each in tmp_path.iterdir())
    result = haversack(*arguments)
    assert (result.code, "empty" in result.err) == (2, True)
    assert sorted(each.name for each in tmp_path.iterdir()) == before
