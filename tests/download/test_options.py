"""Options that cannot be meant are refused, each by its name, before anything begins."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from haversack.download import StacApi, download, plan
from haversack.download.http import request
from haversack.download.secrets import Secrets
from haversack.download.transfer import Request, transfer
from haversack.errors import HaversackError, UsageError

SECRET = {"https://a.example": {"X-API-Key": "open-sesame"}}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"catalog_only": "no"}, "catalog_only is True or False, not 'no'"),
    ({"with_sources": 1}, "with_sources is True or False"),
    ({"dry_run": "yes"}, "dry_run is True or False"),
    ({"retry_failed": None}, "retry_failed is True or False"),
    ({"raise_errors": "no"}, "raise_errors is True or False"),
    ({"if_exists": "bogus"}, "if_exists is one of"),
    ({"if_exists": ["sync"]}, "if_exists is one of"),
    ({"name": 5}, "name is a text or None"),
    ({"name": ""}, "name is what the dataset is to be called, and '' says nothing"),
    ({"name": " "}, "says nothing"),
    ({"catalog_only": np.int64(1)}, "catalog_only is True or False"),
    ({"concurrency": np.float64(4)}, "concurrency is a whole number from 1 to 1000, not"),
    ({"concurrency": np.bool_(True)}, "concurrency is a whole number"),
    ({"timeout": np.float32("nan")}, "timeout is a number of seconds above 0"),
    ({"collection_filter": []}, "collection_filter is a dict"),
    ({"collection_filter": {"files": "data"}}, "collection_filter: asset keys are given as a list"),
    ({"roles": "data"}, "roles are given as a list"),
    ({"media_types": "*"}, "media_types are given as a list"),
    ({"where": 5}, "where is a text or a function"),
    ({"bbox": [True] * 4}, "bbox takes 4 or 6 numbers"),
    ({"progress": 5}, "progress is True, False, None or a function"),
    ({"progress": "yes"}, "progress is True, False, None or a function"),
    ({"secrets": SECRET}, r"secrets is haversack\.download\.secrets\.Secrets, not dict"),
    (
        {"allow_hosts": "127.0.0.1"},
        r"allow_hosts is a list of hosts, as \['a\.example'\], not '127",
    ),
    ({"allow_hosts": [5]}, "allow_hosts is a list of hosts"),
    ({"allow_hosts": None}, "allow_hosts is a list of hosts"),
    ({"asset_output_dir": 5}, "a path is a text or an os.PathLike, not 5"),
    ({"output_dir": b"out"}, "a path is a text or an os.PathLike"),
    ({"retry_failed": True, "catalog_only": True}, "give one of them"),
    ({"concurency": 4}, "concurency"),
]


@pytest.mark.parametrize(("options", "told"), WRONG)
def test_an_option_that_cannot_be_meant_is_refused(server, tmp_path, monkeypatch, options, told):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=told) as caught:
        download([server.url("/a.tif")], **{"output_dir": "out"} | options)
    assert "open-sesame" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert server.asked == []


@pytest.mark.parametrize(
    "options", [{"secrets": SECRET}, {"allow_hosts": "127.0.0.1"}, {"ca": 5}, {"allow_hosts": 5}]
)
def test_whatever_sends_requests_refuses_the_same(server, tmp_path, options):
    url = server.url("/a.tif")
    with pytest.raises(UsageError):
        request("GET", url, **options)
    with pytest.raises(UsageError):
        list(transfer([Request(url, tmp_path / "a.tif")], **options))
    assert server.asked == []


def test_the_scalars_of_numpy_are_numbers_and_flags(server, tmp_path):
    url = server.file("/a.tif", b"pixels")
    options: dict[str, Any] = {
        "concurrency": np.int64(4),
        "retries": np.uint8(1),
        "timeout": np.float32(20),
        "max_bytes_per_second": np.float32(4e9),
        "max_requests_per_second": np.int16(500),
    }
    flags: dict[str, Any] = {"dry_run": np.bool_(False), "catalog_only": np.bool_(False)}
    report = download([url], tmp_path, allow_hosts=["127.0.0.1"], **options, **flags)
    assert report.fetched == 1
    json.dumps(report.to_dict())
    (outcome,) = transfer([Request(url, tmp_path / "a.tif")], source_origin=url, **options)
    assert outcome.error is None


def test_an_api_has_an_address():
    for url in (None, 5, b"https://api.example"):
        with pytest.raises(UsageError, match="the address of a STAC API is a text"):
            StacApi(url)  # type: ignore[arg-type]


def test_secrets_are_joined_with_secrets_alone():
    for given in (SECRET, {}, ""):
        with pytest.raises(UsageError, match="bind each to its origin") as caught:
            Secrets().joined(given)  # type: ignore[arg-type]
        assert "open-sesame" not in str(caught.value)
    assert not Secrets().joined(Secrets())


def test_a_home_is_the_users_wherever_a_path_is_taken(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    url = server.file("/a.tif", b"pixels")
    options: dict[str, Any] = {"allow_hosts": ["127.0.0.1"], "asset_output_dir": Path("~/assets")}
    download([url], "~/data", name="mine", **options)
    assert (tmp_path / "home/data/mine/catalog.json").is_file()
    assert (tmp_path / "home/assets/mine/items/a/data.tif").read_bytes() == b"pixels"
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    assert plan("~/data/mine", "other", **options).dataset_id == "mine"
    with pytest.raises(HaversackError, match=r"~b/c does not exist"):  # the name of no user
        download("~b/c", "other")


def test_the_output_may_be_a_link_that_the_user_made(server, tmp_path, make_answer):
    real = tmp_path / "real"
    real.mkdir()
    link = tmp_path / "link"
    link.symlink_to(real)
    url, item = server.file("/a.tif", b"pixels"), "items/a/data.tif"
    options: dict[str, Any] = {"allow_hosts": ["127.0.0.1"], "asset_output_dir": link}
    assert download([url], link, name="mine", **options).fetched == 1
    archive = real / "mine.tar.gz"
    server.answer("/farms.tar.gz", make_answer(200, archive.read_bytes()))
    for source in (archive, server.url("/farms.tar.gz")):
        report = download(source, link, name="again", if_exists="overwrite", **options)
        assert (report.fetched, report.path) == (1, link / "again")
        assert (real / "again" / item).read_bytes() == b"pixels"
        assert (real / "again.tar.gz").is_file()
    (tmp_path / "elsewhere").mkdir()
    (real / "third").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HaversackError, match="is a link or a file where a directory must be"):
        download([url], link, name="third", **options)
    assert list((tmp_path / "elsewhere").iterdir()) == []
