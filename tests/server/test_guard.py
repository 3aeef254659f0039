"""The key guards what it should, and is told to nobody."""

import logging
from urllib.parse import quote, urlencode

import pytest

GUARDED = ["datasets", "datasets/fields", "catalog/fields", "catalog/fields/info", "collections"]
GUARDED += ["collections/fields_source/items", "archive/fields_source", "models", "nobody", ""]


@pytest.mark.parametrize("path", GUARDED)
def test_without_the_key_nothing_is_told(ask_with_key, path):
    answer = ask_with_key(path)
    assert answer.status == 401
    assert "API key" in answer.json["detail"]
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("wrong", ["", "nobody", "s3cr&t", "s3cr&t+k%e ", "\xff\x00", "ké"])
def test_a_wrong_key_is_refused(ask_with_key, wrong):
    assert ask_with_key(f"datasets?{urlencode({'key': wrong})}").status == 401
    if wrong.isprintable():
        header = f"Bearer {wrong}x".encode()
        assert ask_with_key("datasets", authorization=header).status == 401
    assert ask_with_key("datasets", authorization="Basic czNjcg==").status == 401


def test_the_key_opens_in_the_query_and_in_the_header(ask_with_key, key):
    assert ask_with_key(f"datasets?{urlencode({'key': key})}").status == 200
    assert ask_with_key("datasets", authorization=f"Bearer {key}".encode()).status == 200


def test_assets_and_archives_open_by_their_segment_alone(ask_with_key, key):
    query = urlencode({"key": key})
    archive = ask_with_key(f"catalog/fields?{query}").headers["location"]
    assert ask_with_key(archive).status == 200
    item = ask_with_key(f"collections/fields_source/items/field_1?{query}").json
    assert ask_with_key(item["assets"]["B04"]["href"]).status == 200


def test_the_page_names_no_dataset_without_the_key(ask_with_key, key):
    assert b"fields" not in ask_with_key("/").body
    assert b"fields" in ask_with_key(f"/?{urlencode({'key': key})}").body
    assert ask_with_key("/healthz").status == 200


def test_the_key_is_neither_echoed_nor_logged(ask_with_key, key, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    # As if somebody had turned the access log on again.
    monkeypatch.setattr(logging.getLogger("uvicorn.access"), "propagate", True)
    query = urlencode({"key": key})
    paths = [*GUARDED, "collections/fields_source/items/field_1", "collections/x"]
    answers = [ask_with_key(f"{path}?limit=1&{query}") for path in paths]
    answers.append(ask_with_key(f"/?{query}"))
    said = "".join(str(answer.headers) + answer.body.decode("latin-1") for answer in answers)
    for form in (key, quote(key), query, "s3cr"):
        assert form not in said + caplog.text
    assert "next" in said


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "a b", "", "[::"])
def test_other_host_names_are_refused_on_loopback(ask, host):
    answer = ask("datasets", host=host)
    assert answer.status == 400


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:9", "[::1]:8000"])
def test_loopback_by_any_name_is_served(ask, host):
    assert ask("datasets", host=host).status == 200


def test_no_answer_tells_where_the_visitor_came_from(ask):
    for path in ("datasets", "/", "nobody"):
        assert ask(path).headers["referrer-policy"] == "no-referrer"
