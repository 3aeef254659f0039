"""The page for people at the server's root."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape

from starlette.responses import HTMLResponse, Response

from haversack.server.documents import Addresses
from haversack.server.index import Contents, Dataset

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 3rem auto; padding: 0 1rem }
code { background: #8882; padding: .1em .3em; border-radius: 3px }
dt { font-weight: 600; margin-top: 1rem } dd { margin: 0 } small { opacity: .7 }
"""
_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"


def page(contents: Contents | None, addresses: Addresses) -> Response:
    """Say what is served and how to reach it; without contents, only that a key is needed."""
    if contents is None:
        told = "<p>This hub asks for an API key.</p>"
    elif not contents.datasets:
        told = "<p>Nothing is served yet: the directory holds no dataset.</p>"
    else:
        told = "<dl>" + "".join(map(_entry, contents.datasets.values())) + "</dl>"
    key = "" if contents is not None else "export MLHUB_API_KEY=...\n"
    how = f"export MLHUB_ROOT_URL={addresses.api}/\n{key}haversack list\nhaversack download ID"
    html = (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f"<meta name=viewport content='width=device-width'><title>haversack</title>"
        f"<style>{_STYLE}</style><h1>haversack</h1>{told}<pre><code>{escape(how)}</code></pre></html>"
    )
    return HTMLResponse(html, headers={"content-security-policy": _POLICY})


def _entry(dataset: Dataset) -> str:
    title = dataset.about.get("title") or dataset.id
    counts = [len(collection.items) for collection in dataset.tree.collections.values()]
    size = f"{len(counts)} collections, {sum(counts):,} items"
    return (
        f"<dt>{escape(str(title))}</dt>"
        f"<dd><code>{escape(dataset.id)}</code> <small>{size}</small></dd>"
    )
