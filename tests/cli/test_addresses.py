"""Addresses that are none, or hold a secret, in whatever argument: one line, and no secret."""

import pytest

SOURCES = ["http://[bad/x", "http://h:99999/x", "s3://[/", "http://u:SECRET@h:port/x?sig=SECRET"]
SOURCES += ["http://u:SECRET@h:99999/x", "http://[bad/x?sig=SECRET", "http://u:SECRET@h/x"]


def _assert_one_line(result, code):
    assert result.code == code, result.err
    assert len(result.err.strip().splitlines()) == 1, result.err
    assert result.err.startswith("haversack: ")
    assert "SECRET" not in result.err + result.out


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "options", [(), ("--search",), ("--name", "x", "--json"), ("--api-key", "SECRET")]
)
def test_as_the_source(haversack, tmp_path, source, options):
    _assert_one_line(haversack("download", source, "-o", "out", *options), 2)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("source", SOURCES[3:])
def test_in_a_list(haversack, tmp_path, source):
    (tmp_path / "list.txt").write_text(f"http://a.example/x\n{source}\n")
    _assert_one_line(haversack("download", "list.txt", "-o", "out"), 2)


@pytest.mark.parametrize("url", [*SOURCES, "[bad", "u:SECRET@h:port", "u:SECRET@[bad"])
def test_as_the_hub(haversack, monkeypatch, url):
    _assert_one_line(haversack("list", "--hub", url), 5)
    monkeypatch.setenv("MLHUB_ROOT_URL", url)
    _assert_one_line(haversack("list"), 5)


@pytest.mark.parametrize("url", SOURCES)
@pytest.mark.parametrize("option", ["--s3-endpoint", "--allow-host"])
def test_as_an_option_of_a_download(haversack, url, option):
    _assert_one_line(haversack("download", "s3://a/b/", option, url, "-o", "out"), 2)


def test_as_a_host_to_allow_it_is_said_what_a_host_is(haversack):
    result = haversack("download", "http://a.example/x/", "--allow-host", "http://x")
    _assert_one_line(result, 2)
    assert "a host is a name or an address" in result.err


@pytest.mark.parametrize("url", [*SOURCES, "http://h/?key=SECRET", "ftp://h"])
def test_as_the_base_url_of_a_server(haversack, tmp_path, url):
    _assert_one_line(haversack("serve", tmp_path, "--port", "0", "--base-url", url), 2)


@pytest.mark.parametrize("key", ["ä", "SECRET key", "SECRET\x7f", " SECRET"])
def test_a_key_that_no_client_sends_is_refused_by_the_server(haversack, tmp_path, key):
    _assert_one_line(haversack("serve", tmp_path, "--port", "0", "--api-key", key), 2)
