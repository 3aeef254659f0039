"""A hub that answers nonsense, or nothing: an error that names it, and soon."""

import http.server
import json
import socket
import threading

import pytest

from haversack.errors import MLHubException, UnsupportedError
from haversack.hub import Collection, Dataset, MLModel, client, session

SHAPES = [b"{}", b"null", b"[1]", b'"x"', b"7", b"[[]]", b"[{}]", b'[{"id": 5}]', b'{"id": null}']
SHAPES += [b"[" * 100_000, b'{"a":' * 100_000, b"{", b"\xff\xfe", b"9" * 5000]
PAGES = [b'{"collections": 5, "features": 5}', b'{"collections": [1], "features": [1]}']
PAGES += [b'{"links": 5}', b'{"links": [1]}', b'{"links": [{"rel": "next", "href": 5}]}']
DATASETS = [{"collections": 5}, {"collections": [1]}, {"collections": [{}]}, {"tags": 5}]
DATASETS += [{"tags": [5]}, {"collections": [{"id": "c", "types": 5}]}]


@pytest.fixture
def answering():
    """Serve one body for every question; give the hub's URL."""
    body = [b""]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body[0])))
            self.end_headers()
            self.wfile.write(body[0])

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()

    def answer(content):
        body[0] = content
        return f"http://127.0.0.1:{server.server_port}"

    yield answer
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("body", SHAPES, ids=lambda body: body[:12].decode("latin-1"))
@pytest.mark.parametrize(
    "ask",
    [Dataset.list, MLModel.list]
    + [lambda one=one, **hub: one.fetch("a", **hub) for one in (Dataset, Collection, MLModel)],
)
def test_an_answer_of_a_wrong_shape_is_an_error_that_names_the_hub(answering, body, ask):
    url = answering(body)
    with pytest.raises(MLHubException, match=f"the hub at {url}"):
        ask(root_url=url)


@pytest.mark.parametrize("body", PAGES)
def test_a_page_of_a_wrong_shape_is_an_error_that_names_the_hub(answering, body):
    url = answering(body)

    def every_page():
        Collection.list(root_url=url)
        list(client.list_collection_items("a", limit=None, root_url=url))

    with pytest.raises(MLHubException, match=f"the hub at {url}.* answered"):
        every_page()


@pytest.mark.parametrize("part", DATASETS)
def test_a_dataset_of_a_wrong_shape_is_an_error_that_names_the_hub(answering, part):
    url = answering(json.dumps([{"id": "a"} | part]).encode())
    with pytest.raises(MLHubException, match=f"the hub at {url}.* answered .* instead of"):
        Dataset.list(root_url=url)


def test_odd_but_harmless_answers_are_taken(answering):
    odd = {"id": "a", "self": 1, "session": 2, "collections": None, "tags": None, "title": "\ud800"}
    [dataset] = Dataset.list(root_url=answering(json.dumps([odd]).encode()))
    assert str(dataset) == "a: ?"
    assert (dataset.collection_descriptions, dataset.tags) == ([], [])


@pytest.mark.parametrize("size", ['"many"', "-1", "null", "[]"])
def test_sizes_that_are_none_are_unknown(answering, size):
    body = f'{{"id": "a", "stac_catalog_size": {size}}}'.encode()
    dataset = Dataset.fetch("a", root_url=answering(body))
    assert dataset.stac_catalog_size is None


def test_a_hub_that_accepts_and_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr(session, "_SILENCE", 0.3)
    monkeypatch.setattr(session, "_PATIENCE", 0.4)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(MLHubException, match=f"{url}.*accepted, but not answered for 0.3 s"):
            Dataset.list(root_url=url)


def test_an_id_that_is_no_text_is_refused():
    with pytest.raises(UnsupportedError, match="5"):
        Dataset.fetch(5, root_url="http://127.0.0.1:1")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "why"),
    [(b'{"a": [1, 2', "line 1 column 12"), (b"[" * 100_000, "nested too deeply")],
)
def test_what_is_wrong_with_json_is_told(answering, body, why):
    with pytest.raises(MLHubException, match=f"answers with what is no whole JSON: .*{why}"):
        Dataset.list(root_url=answering(body))


@pytest.mark.parametrize(
    "href", ["http://[bad/x?SECRET", "http://u:SECRET@h:99999/x", "http://u:SECRET@h:port/"]
)
def test_a_next_page_at_no_address_is_an_error_that_names_the_hub(answering, href):
    body = {"collections": [], "features": [], "links": [{"rel": "next", "href": href}]}
    url = answering(json.dumps(body).encode())
    for ask in (Collection.list, lambda **hub: list(client.list_collection_items("a", **hub))):
        with pytest.raises(MLHubException, match=f"the hub at {url}.* answered a link ") as error:
            ask(root_url=url)
        assert "SECRET" not in str(error.value)
