"""Archives are the same bytes each time, and hold the catalog as a client needs it."""

import hashlib
import http.client
import io
import json
import subprocess
import sys
import tarfile
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor

from haversack.server.archive import Archives
from haversack.server.documents import Addresses
from haversack.server.index import Door, Index


def _fetch(ask, path):
    redirect = ask(path)
    assert redirect.status == 303
    return ask(redirect.headers["location"])


def _members(body):
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        files = ((member.name, archive.extractfile(member)) for member in archive)
        return {name: file.read() for name, file in files if file is not None}


def test_the_catalog_archive_holds_all_documents_and_absolute_assets(ask):
    members = _members(_fetch(ask, "catalog/fields").body)
    assert list(members) == sorted(members)
    assert set(members) == {
        "fields/catalog.json",
        "fields/fields_labels/collection.json",
        "fields/fields_labels/label_1/label_1.json",
        "fields/fields_source/collection.json",
        "fields/fields_source/field_1/field_1.json",
        "fields/fields_source/field_2/field_2.json",
    }
    item = json.loads(members["fields/fields_source/field_1/field_1.json"])
    assert item["links"][0]["href"] == "../collection.json"
    assert ask(item["assets"]["B04"]["href"]).status == 200
    assert ask(item["assets"]["mask"]["href"]).body == b"\x89PNG mask"


def test_the_archive_of_the_archive_is_complete(ask, payloads):
    members = _members(_fetch(ask, "archive/fields_source").body)
    raw = {path.removeprefix("fields/"): body for path, body in payloads.items()}
    assert members["fields_source/field_1/B04.tif"] == raw["fields_source/field_1/B04.tif"]
    assert members["_common/documentation.pdf"] == raw["_common/documentation.pdf"]
    assert not any(name.startswith(("fields_labels", "secret")) for name in members)
    told = ask("archive/fields_source/info").json
    assert told["dataset"] == "fields"
    assert told["types"] == ["source_imagery"]


def test_validators_and_sizes_are_those_of_the_bytes(ask):
    answer = _fetch(ask, "catalog/fields")
    assert answer.headers["content-type"] == "application/gzip"
    assert answer.headers["etag"] == f'"{hashlib.sha256(answer.body).hexdigest()}"'
    assert answer.headers["content-md5"] == b64encode(hashlib.md5(answer.body).digest()).decode()
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert ask("catalog/fields/info").json["stac_catalog_size"] == len(answer.body)


def test_an_archive_comes_in_ranges(ask):
    address = ask("catalog/fields").headers["location"]
    whole = ask(address)
    halves = [
        ask(address, range=asked, if_range=whole.headers["etag"]).body
        for asked in ("bytes=0-499", "bytes=500-")
    ]
    assert b"".join(halves) == whole.body
    assert "content-md5" not in ask(address, range="bytes=0-1").headers


def test_a_restarted_server_makes_the_same_archive_at_the_same_address(hub, serving):
    seen = []
    for _ in range(2):
        with serving(hub) as ask:
            members = _members(_fetch(ask, "catalog/floods").body)
            address = ask("catalog/floods").headers["location"].removeprefix(ask.url)
            texts = [text.replace(ask.url.encode(), b"") for text in members.values()]
            seen.append((address, texts))
    assert seen[0] == seen[1]


def test_one_base_url_makes_the_same_bytes_in_every_server(hub):
    etags = set()
    for _ in range(2):
        index = Index(hub)
        addresses = Addresses(index, "https://hub.example.org/data")
        door = Door("catalog", index.refresh().datasets["fields"])
        etags.add(Archives().get(door, addresses).etag)
    assert len(etags) == 1


def test_many_who_ask_at_once_get_one_archive(hub):
    index, archives = Index(hub), Archives()
    door = Door("catalog", index.refresh().datasets["fields"])
    with ThreadPoolExecutor(8) as pool:
        asked = [
            pool.submit(archives.get, door, Addresses(index, "http://a.example")) for _ in range(32)
        ]
    assert len({task.result().path for task in asked}) == 1


def test_old_archives_make_room(hub):
    index, archives = Index(hub), Archives()
    door = Door("catalog", index.refresh().datasets["fields"])
    made = [archives.get(door, Addresses(index, f"http://{n}.example")).path for n in range(50)]
    assert 0 < sum(path.exists() for path in made) < 50
    assert made[-1].exists()


def test_a_base_url_leads_through_the_proxy(hub):
    program = (
        "import sys; from haversack.server import serve\n"
        "base = 'https://hub.example.org/data/'\n"
        "serve(sys.argv[1], port=0, base_url=base, ready=lambda url: print(url, flush=True))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(hub)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().decode().strip().removeprefix("http://")
        connection = http.client.HTTPConnection(address, timeout=20)
        connection.request("GET", "/mlhub/v1/catalog/fields", headers={"host": "hub.example.org"})
        location = connection.getresponse().headers["location"]
        connection.close()
        process.terminate()
    assert location.startswith("https://hub.example.org/data/archives/")


def test_each_host_name_gets_addresses_that_lead_back_to_it(ask):
    location = ask("catalog/fields", host="localhost:1234").headers["location"]
    assert location.startswith("http://localhost:1234/archives/")


def test_a_changed_dataset_gets_a_new_archive(hub, serving):
    with serving(hub) as ask:
        before = _fetch(ask, "catalog/fields")
        catalog = hub / "fields" / "catalog.json"
        document = json.loads(catalog.read_text())
        catalog.write_text(json.dumps(document | {"title": "Other fields"}))
        after = _fetch(ask, "catalog/fields")
    assert before.headers["etag"] != after.headers["etag"]
    assert b"Other fields" in _members(after.body)["fields/catalog.json"]


def test_archives_leave_nothing_behind(hub, serving, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with serving(hub) as ask:
        _fetch(ask, "catalog/fields")
        assert list(tmp_path.glob("haversack-archives-*/*"))
    assert not list(tmp_path.glob("haversack-archives-*"))
