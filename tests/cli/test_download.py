"""What ``haversack download`` adds to the library: its options, and its exit codes."""

import hashlib
import json
from typing import Any

from haversack.cli import download as command

SOURCE = "demo_crop_seasons_source"


def _report(result):
    assert result.code in (0, 1), result.err
    return json.loads(result.out)


def _download(at_hub, *options):
    return _report(at_hub("download", "demo_crop_seasons", "-q", "--json", *options))


def test_sync_and_retry_go_on_from_a_download(at_hub, tmp_path):
    first = _download(at_hub)
    again = _download(at_hub, "--sync")
    assert (again["fetched"], again["present"]) == (0, first["fetched"])
    retried = _download(at_hub, "--retry-failed")
    assert (retried["fetched"], retried["present"], retried["failed"]) == (0, 0, 0)


def test_a_retry_where_nothing_was_downloaded_is_not_found(at_hub, tmp_path):
    told = at_hub("download", "demo_crop_seasons", "--retry-failed", "-q", "-o", "other")
    assert (told.code, told.out) == (3, "")
    assert "no earlier download ended here; run the same without" in told.err
    assert not (tmp_path / "other").exists()


def test_two_answers_to_what_is_here_are_refused(at_hub):
    told = at_hub("download", "demo_crop_seasons", "--sync", "--if-exists", "overwrite")
    assert (told.code, "--sync is --if-exists sync" in told.err) == (2, True)


def test_an_unfinished_download_is_told_as_that(at_hub, tmp_path):
    _download(at_hub)
    (tmp_path / "demo_crop_seasons" / "catalog.json").unlink()
    told = at_hub("verify", "demo_crop_seasons", "-q")
    assert (told.code, "broken off before its catalog was here" in told.err) == (7, True)


def test_verify_counts_the_half_files_that_runs_have_left(at_hub, tmp_path):
    _download(at_hub)
    assert "half" not in at_hub("verify", "demo_crop_seasons", "-q").err
    folder = tmp_path / "demo_crop_seasons" / SOURCE
    for number in range(3):
        name = f".part-{'0' * 16}-{'1' * 12}-synced-0123abcd.{number}"
        (folder / name).write_bytes(bytes(500_000))
    (folder / f".part-{'0' * 16}-0-synced-0123abcd.9").write_bytes(bytes(100))  # of no version
    told = at_hub("verify", "demo_crop_seasons", "-q")
    assert (told.code, "3 half files of 1.5 MB: the same download goes" in told.err) == (0, True)
    assert "1 half file of 100 B: nobody can go on" in told.err
    assert json.loads(at_hub("verify", "demo_crop_seasons", "-q", "--json").out) == []


def test_who_interrupts_an_overwrite_is_told_that_it_begins_anew(at_hub, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_download", interrupt)
    stopped = at_hub("download", "demo_crop_seasons", "-q", "--if-exists", "overwrite")
    told = "the same command fetches all of it again; with --sync"
    assert (stopped.code, told in stopped.err) == (130, True)


def test_filters_by_kind_and_property(at_hub):
    everything = _download(at_hub, "--dry-run")["waiting"]
    images = _download(at_hub, "--dry-run", "--media-type", "image/*")["waiting"]
    assert 0 < images < everything
    wrong = at_hub("download", "demo_crop_seasons", "-q", "--role", "nobody's")
    assert (wrong.code, "nobody's" in wrong.err) == (2, True)
    none = at_hub("download", "demo_crop_seasons", "-q", "--where", "datetime IS NULL AND 1 = 2")
    assert (none.code, "where" in none.err) == (3, True)


def test_limits_that_make_no_sense_are_refused(at_hub):
    for option, value in (("--max-rate", "0"), ("--max-rate", "-1"), ("--max-requests", "nan")):
        wrong = at_hub("download", "demo_crop_seasons", "-q", option, value)
        assert wrong.code == 2
        assert f"{option} is a number above 0, not {value}" in wrong.err


def test_keys_that_are_not_there_are_asked_for(at_hub, monkeypatch, tmp_path):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    wrong = at_hub("download", "demo_crop_seasons", "--s3-sign", "https://b.s3.amazonaws.com")
    assert (wrong.code, "AWS_ACCESS_KEY_ID" in wrong.err) == (4, True)
    monkeypatch.setenv("NETRC", str(tmp_path / "nothing"))
    assert at_hub("download", "demo_crop_seasons", "--netrc").code == 2


def test_the_options_of_cloud_stores_are_passed_on(at_hub, monkeypatch, tmp_path):
    import http.server
    import threading

    asked = []

    class Store(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            page = b"<R><Contents><Key>x/a.tif</Key><LastModified>2020-01-01T00:00:00.000Z"
            page += b"</LastModified><Size>6</Size></Contents></R>"
            body = page if "list-type" in self.path else b"pixels"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "an-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sesame")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Store) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        options = ["--s3-endpoint", url, "-q", "--json"]
        public = _report(at_hub("download", "s3://buck/x/", *options, "-o", tmp_path / "public"))
        signed = [*options, "--cloud", "--requester-pays", "-o", tmp_path / "signed"]
        private = _report(at_hub("download", "s3://buck/x/", *signed))
        server.shutdown()
    assert (public["fetched"], private["fetched"]) == (1, 1)
    files = [path for path in asked if path.startswith("/buck/x/a.tif")]
    assert files[0] == "/buck/x/a.tif"
    assert "X-Amz-Signature" in files[1]
    assert "x-amz-request-payer" in files[1]


def test_a_url_that_is_no_api_cannot_be_searched(at_hub, hub):
    wrong = at_hub("download", f"{hub.url}/healthz", "--search", "-q")
    assert (wrong.code, "no STAC API" in wrong.err) == (7, True)


def test_a_path_or_url_may_be_given_a_name_and_a_dataset_of_a_hub_may_not(at_hub, hub, tmp_path):
    source = f"{hub.api_root}catalog/demo_crop_seasons"
    wrong = at_hub("download", "demo_crop_seasons", "--name", "mine", "-q")
    assert (wrong.code, "--name" in wrong.err) == (2, True)
    assert at_hub("download", source, "-q").code == 4  # a URL gets no key of the hub's
    archive = at_hub("download", "demo_crop_seasons", "-q", "--catalog-only")
    assert archive.code == 0
    path = tmp_path / "demo_crop_seasons.tar.gz"
    assert _report(at_hub("download", path, "--name", "mine", "-q", "--json", "--catalog-only"))
    assert (tmp_path / "mine" / "catalog.json").is_file()


def _tree(folder, assets):
    """A static catalog of one item, whose files are there."""
    folder.mkdir()
    one: dict[str, Any] = {"stac_version": "1.0.0", "id": "one", "geometry": None, "links": []}
    times = {"datetime": "2020-05-17T10:00:00Z"}
    item = one | {"type": "Feature", "properties": times, "assets": assets}
    root: dict[str, Any] = {"type": "Catalog", "stac_version": "1.0.0", "id": "mine"}
    root |= {"description": "mine", "links": [{"rel": "item", "href": "./one.json"}]}
    for name, document in (("catalog.json", root), ("one.json", item)):
        (folder / name).write_text(json.dumps(document))
    for asset in assets.values():
        (folder / asset["href"]).write_bytes(b"pixels")
    return folder


def test_verify_tells_how_many_files_it_could_not_compare(haversack, tmp_path):
    checksum = "1220" + hashlib.sha256(b"pixels").hexdigest()
    whole = {"href": "./a.tif", "file:size": 6, "file:checksum": checksum}
    place = _tree(
        tmp_path / "mine",
        {
            "whole": whole,
            "sized": {"href": "./b.tif", "file:size": 6},
            "odd": {"href": "./c.tif", "file:checksum": "1e20" + "0" * 64},
            "bare": {"href": "./d.tif"},
            "again": {"href": "./d.tif"},
        },
    )
    told = haversack("verify", place, "-q")
    assert (told.code, told.out) == (0, "")
    clean, by_size, by_nothing = told.err.splitlines()
    assert clean == f"{place}: no damage found"
    assert by_size.startswith(f"{place}: 1 of 4 files compared by their size alone, for the")
    assert by_nothing.startswith(f"{place}: 2 of 4 files compared with nothing, for the catalog")
    told = haversack("verify", _tree(tmp_path / "all", {"whole": whole}), "-q")
    assert told.err == f"{tmp_path / 'all'}: no damage found\n"


def test_verify_counts_what_a_download_kept_unverified(haversack, tmp_path):
    place = _tree(tmp_path / "mine", {"gone": {"href": "gone.tif"}, "here": {"href": "here.tif"}})
    document = json.loads((place / "one.json").read_text())
    document["assets"]["gone"]["href"] = "http://127.0.0.1:1/gone.tif"
    (place / "one.json").write_text(json.dumps(document))
    kept = tmp_path / "out" / "mine" / "items" / "one" / "gone.tif"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"left by an older client")
    report = _report(haversack("download", place, "-o", "out", "-q", "--json"))
    assert (report["unverified"], report["fetched"], report["failed"]) == (1, 1, 0)
    told = haversack("verify", "out/mine", "-q")
    assert told.code == 0
    assert "out/mine: 1 of 2 files compared with nothing" in told.err
