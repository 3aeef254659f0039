"""The endpoints of the MLHub API, as the old hub's clients ask them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from haversack.server.about import matches
from haversack.server.archive import Archives
from haversack.server.documents import (
    Addresses,
    collection_answer,
    item_answer,
    landing_answer,
)
from haversack.server.files import file_answer, media_type
from haversack.server.index import Contents, Dataset, Door, Index
from haversack.server.paging import limit_of, page_links, start_of
from haversack.server.tree import Collection


class Api:
    """Answers requests from an index of datasets."""

    def __init__(self, index: Index, archives: Archives, base_url: str | None) -> None:
        self._index, self._archives, self._base_url = index, archives, base_url

    def routes(self) -> dict[str, Callable[[Request], Response]]:
        """Name the path of each endpoint."""
        api = "/mlhub/v1"
        return {
            "/assets/{token}/{path:path}": self.asset,
            api: self.landing,
            f"{api}/": self.landing,
            f"{api}/datasets": self.datasets,
            f"{api}/datasets/doi/{{doi:path}}": self.dataset_by_doi,
            f"{api}/datasets/{{dataset:path}}": self.dataset,
            f"{api}/catalog/{{dataset}}/info": self.catalog_info,
            f"{api}/catalog/{{dataset}}": self.catalog,
            f"{api}/collections": self.collections,
            f"{api}/collections/{{collection}}": self.collection,
            f"{api}/collections/{{collection}}/items": self.items,
            f"{api}/collections/{{collection}}/items/{{item:path}}": self.item,
            f"{api}/archive/{{collection}}/info": self.archive_info,
            f"{api}/archive/{{collection}}": self.archive,
            f"{api}/models": self.models,
            f"{api}/models/{{model:path}}": self.model,
            "/archives/{token}/{name}": self.archive_file,
            "/healthz": self.health,
        }

    def addresses(self, request: Request) -> Addresses:
        """Find the addresses that lead this client back here."""
        return Addresses(self._index, self._base_url or str(request.base_url).rstrip("/"))

    def contents(self) -> Contents:
        """Look at what is served now."""
        return self._index.refresh()

    def landing(self, request: Request) -> Response:
        return _json(landing_answer(self.contents().collections, self.addresses(request)))

    def datasets(self, request: Request) -> Response:
        tags, phrases = request.query_params.getlist("tags"), request.query_params.getlist("text")
        served = self.contents().datasets.values()
        return _json(
            [
                one.about
                for one in served
                if matches(one.about, one.text, tags=tags, phrases=phrases)
            ]
        )

    def dataset(self, request: Request) -> Response:
        return _json(self._dataset(request).about)

    def dataset_by_doi(self, request: Request) -> Response:
        doi = request.path_params["doi"]
        for dataset in self.contents().datasets.values():
            if dataset.about.get("doi") == doi:
                return _json(dataset.about)
        raise HTTPException(404, f"Dataset of DOI {doi!r} does not exist.")

    def catalog_info(self, request: Request) -> Response:
        dataset = self._dataset(request)
        archive = self._archives.get(Door("catalog", dataset), self.addresses(request))
        told = {
            "stac_catalog_size": archive.size,
            "estimated_dataset_size": dataset.tree.asset_bytes,
        }
        return _json({"dataset": dataset.id, **told})

    def catalog(self, request: Request) -> Response:
        dataset = self._dataset(request)
        return RedirectResponse(self.addresses(request).archive("catalog", dataset.id), 303)

    def collections(self, request: Request) -> Response:
        addresses = self.addresses(request)
        served = self.contents().collections.values()
        found = [collection_answer(dataset, one.path, addresses) for dataset, one in served]
        here = {"rel": "self", "href": f"{addresses.api}/collections", "type": "application/json"}
        return _json({"collections": found, "links": [here]})

    def collection(self, request: Request) -> Response:
        dataset, collection = self._collection(request)
        return _json(collection_answer(dataset, collection.path, self.addresses(request)))

    def items(self, request: Request) -> Response:
        dataset, collection = self._collection(request)
        ids, limit = list(collection.items), limit_of(request.query_params)
        start = start_of(request.query_params, ids, limit)
        addresses = self.addresses(request)
        page = ids[start : start + limit]
        found = [
            item_answer(dataset, collection.items[item], collection.id, addresses) for item in page
        ]
        here = f"{addresses.collection(collection.id)}/items"
        context = {"limit": limit, "matched": len(ids), "returned": len(page)}
        links = [{"rel": "self", "href": here}, *page_links(here, ids, start, limit)]
        answer = {
            "type": "FeatureCollection",
            "features": found,
            "context": context,
            "links": links,
        }
        return _json(answer, "application/geo+json")

    def item(self, request: Request) -> Response:
        dataset, collection = self._collection(request)
        item = request.path_params["item"]
        if item not in collection.items:
            raise HTTPException(404, f"Item {item!r} does not exist in {collection.id!r}.")
        addresses = self.addresses(request)
        answer = item_answer(dataset, collection.items[item], collection.id, addresses)
        return _json(answer, "application/geo+json")

    def archive_info(self, request: Request) -> Response:
        dataset, collection = self._collection(request)
        door = Door("collection", dataset, collection)
        size = self._archives.get(door, self.addresses(request)).size
        told = {"collection": collection.id, "dataset": dataset.id, "size": size}
        return _json(told | {"types": sorted(collection.types, reverse=True)})

    def archive(self, request: Request) -> Response:
        dataset, collection = self._collection(request)
        address = self.addresses(request).archive("collection", dataset.id, collection.id)
        return RedirectResponse(address, 303)

    def models(self, request: Request) -> Response:
        addresses = self.addresses(request)
        served = self.contents().models.values()
        return _json([item_answer(dataset, path, None, addresses) for dataset, path in served])

    def model(self, request: Request) -> Response:
        model = request.path_params["model"]
        found = self.contents().models.get(model)
        if found is None:
            raise HTTPException(404, f"Model {model!r} does not exist.")
        return _json(item_answer(*found, None, self.addresses(request)), "application/geo+json")

    def asset(self, request: Request) -> Response:
        door, path = self._door(request), request.path_params["path"]
        tree = door.dataset.tree
        whole = tree.file(path) if door.kind == "assets" and tree.names(path) else None
        if whole is None:
            raise HTTPException(404, "No such asset.")
        return file_answer(request, whole, headers={"content-type": media_type(path)})

    def archive_file(self, request: Request) -> Response:
        door = self._door(request)
        if door.kind == "assets":
            raise HTTPException(404, "No such archive.")
        archive = self._archives.get(door, self.addresses(request))
        headers = {"content-type": "application/gzip", "etag": archive.etag}
        return file_answer(request, archive.path, headers=headers | {"content-md5": archive.md5})

    def health(self, _: Request) -> Response:
        return _json({"status": "ok"})

    def _dataset(self, request: Request) -> Dataset:
        ident = request.path_params["dataset"]
        found = self.contents().datasets.get(ident)
        if found is None:
            raise HTTPException(404, f"Dataset {ident!r} does not exist.")
        return found

    def _collection(self, request: Request) -> tuple[Dataset, Collection]:
        ident = request.path_params["collection"]
        found = self.contents().collections.get(ident)
        if found is None:
            raise HTTPException(404, f"Collection {ident!r} does not exist.")
        return found

    def _door(self, request: Request) -> Door:
        door = self._index.door(request.path_params["token"])
        if door is None:
            self.contents()
            door = self._index.door(request.path_params["token"])
        if door is None:
            raise HTTPException(404, "No such address. Fetch the catalog again for its addresses.")
        return door


def _json(value: Any, media: str = "application/json") -> Response:
    return Response(msgspec.json.encode(value), media_type=media)
