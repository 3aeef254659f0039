"""A dataset of a hub: find it, look at it, download it."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, Unpack
from urllib.parse import quote

from haversack.catalog import Filters
from haversack.download import DownloadReport, IfExists, download
from haversack.errors import UsageError
from haversack.events import Progress
from haversack.hub import client, shapes
from haversack.hub.client import Access
from haversack.hub.collection import Collection
from haversack.hub.session import Session

_AT_ONCE = 8


class CollectionList(list[Collection]):
    """Collections of a dataset, each once; those of images and of labels also by themselves.

    Parameters
    ----------
    collections
        All of them.
    types
        For the id of each, ``"source_imagery"``, ``"labels"`` or both.
    """

    def __init__(
        self, collections: Iterable[Collection], types: Mapping[str, Sequence[str]]
    ) -> None:
        super().__init__(collections)
        self.source_imagery = [one for one in self if "source_imagery" in types.get(one.id, ())]
        self.labels = [one for one in self if "labels" in types.get(one.id, ())]


class Dataset:
    """A dataset of a hub: one or more collections that belong together.

    Get one with :meth:`fetch` or :meth:`list`. What the hub said of it beyond the attributes below
    is in ``metadata``.

    Parameters
    ----------
    id, collections, title, registry, doi, citation
        As the hub tells them; ``collections`` are dicts with ``id`` and ``types``.
    api_key, profile, root_url, session
        Which hub to ask further, and as whom; opened when it is needed.
    metadata
        Whatever else the hub tells.

    Examples
    --------
    >>> print(Dataset("bigearthnet_v1", [], title="BigEarthNet V1"))
    bigearthnet_v1: BigEarthNet V1
    """

    def __init__(
        self,
        id: str,  # noqa: A002 (the hub's word)
        collections: Sequence[Mapping[str, Any]],
        title: str | None = None,
        registry: str | None = None,
        doi: str | None = None,
        citation: str | None = None,
        *,
        api_key: str | None = None,
        profile: str | None = None,
        root_url: str | None = None,
        session: Session | None = None,
        **metadata: Any,
    ) -> None:
        self.id, self.title = id, title
        self.collection_descriptions = list(collections)
        self.registry_url, self.doi, self.citation = registry, doi, citation
        self.description: str | None = metadata.get("description")
        self.tags: list[str] = list(metadata.get("tags") or [])
        self.metadata = metadata
        self._access = Access(api_key=api_key, profile=profile, root_url=root_url, session=session)

    @classmethod
    def list(
        cls,
        *,
        tags: str | Sequence[str] | None = None,
        text: str | Sequence[str] | None = None,
        **access: Unpack[Access],
    ) -> list[Dataset]:
        """List the datasets of a hub.

        Parameters
        ----------
        tags
            Only datasets that have all of these tags, exactly.
        text
            Only datasets that have all of these phrases somewhere in their texts.
        access
            ``api_key``, ``profile`` and ``root_url`` as :func:`haversack.get_session` takes them.
        """
        session = client.session_of(access)
        answers = client.list_datasets(tags=tags, text=text, session=session)
        return [cls._of(answer, session) for answer in answers]

    @classmethod
    def fetch(cls, dataset_id_or_doi: str, **access: Unpack[Access]) -> Dataset:
        """Fetch a dataset by its id or its DOI; its assets stay where they are.

        Raises
        ------
        EntityDoesNotExist
            The hub has no such dataset.
        AuthenticationError
            The hub refuses the key.
        MLHubException
            No hub is set, or it is not reached.
        """
        session = client.session_of(access)
        return cls._of(client.get_dataset(dataset_id_or_doi, session=session), session)

    @classmethod
    def fetch_by_id(cls, dataset_id: str, **access: Unpack[Access]) -> Dataset:
        """Fetch a dataset by its id."""
        session = client.session_of(access)
        return cls._of(client.get_dataset_by_id(dataset_id, session=session), session)

    @classmethod
    def fetch_by_doi(cls, dataset_doi: str, **access: Unpack[Access]) -> Dataset:
        """Fetch a dataset by its DOI."""
        session = client.session_of(access)
        return cls._of(client.get_dataset_by_doi(dataset_doi, session=session), session)

    @classmethod
    def _of(cls, answer: Mapping[str, Any], session: Session) -> Dataset:
        reserved = {"self", "collections", *Access.__annotations__}
        told = {name: value for name, value in answer.items() if name not in reserved}
        return cls(collections=answer.get("collections") or [], **told, session=session)

    def __str__(self) -> str:
        return f"{self.id}: {self.title}" if self.title else self.id

    def __repr__(self) -> str:
        return f"Dataset({self.id!r}, {self.title!r})"

    def _repr_html_(self) -> str:
        rows = {
            "Title": self.title,
            "DOI": self.doi,
            "Collections": ", ".join(str(one["id"]) for one in self.collection_descriptions),
            "Tags": ", ".join(self.tags),
            "Citation": self.citation,
        }
        cells = "".join(
            f"<tr><th>{name}</th><td>{html.escape(str(value))}</td></tr>"
            for name, value in rows.items()
            if value
        )
        return f"<table><caption>{html.escape(self.id)}</caption>{cells}</table>"

    @cached_property
    def collections(self) -> CollectionList:
        """Its collections, fetched when they are first asked for."""
        session = self._asking({})
        types = {str(one["id"]): one.get("types") or [] for one in self.collection_descriptions}
        with ThreadPoolExecutor(_AT_ONCE, "haversack-hub") as pool:
            fetched = pool.map(lambda one: Collection.fetch(one, session=session), types)
            return CollectionList(fetched, types)

    @property
    def stac_catalog_size(self) -> int | None:
        """Bytes of its catalog archive, as the hub says now."""
        return shapes.size(self._info(), "stac_catalog_size")

    @property
    def estimated_dataset_size(self) -> int | None:
        """Bytes of all its assets, as the hub estimates now."""
        return shapes.size(self._info(), "estimated_dataset_size")

    def _info(self) -> dict[str, Any]:
        return client.get_catalog_info(self.id, session=self._asking({}))

    def download(
        self,
        output_dir: str | Path = ".",
        *,
        asset_output_dir: str | Path | None = None,
        catalog_only: bool = False,
        if_exists: IfExists = "resume",
        api_key: str | None = None,
        profile: str | None = None,
        bbox: Sequence[float] | None = None,
        intersects: Any = None,
        datetime: Any = None,
        collection_filter: Mapping[str, Sequence[str]] | None = None,
        progress: Progress = True,
        **options: Any,
    ) -> DownloadReport:
        """Download its catalog, and its assets or those that the filters choose.

        Parameters
        ----------
        output_dir
            Where its directory and its catalog archive are put; made when missing.
        asset_output_dir
            Put the assets here instead.
        catalog_only
            Fetch no assets.
        if_exists
            ``"resume"`` keeps what is whole and fetches the rest, ``"skip"`` keeps whatever is
            here, ``"overwrite"`` fetches everything again, ``"sync"`` what has changed.
        api_key, profile
            Another key than the one it was fetched with.
        bbox, intersects, datetime, collection_filter
            Choose assets: a bounding box (W, S, E, N in degrees), an area as GeoJSON, a day or a
            pair of times, and ``{collection: [asset keys]}``.
        progress
            True draws bars; None is silent; a callable gets :class:`haversack.events.Event` values.
        options
            Whatever else :func:`haversack.download.download` takes: ``dry_run``,
            ``retry_failed``, ``raise_errors``, ``allow_hosts``, ``asset_keys``, ``concurrency``;
            but for ``source`` and ``name``.

        Returns
        -------
        DownloadReport
            Counts, bytes, time, and what is missing.

        Raises
        ------
        AuthenticationError
            The hub refuses the other key.
        DownloadError
            Some assets could not be fetched; ``err_report.csv`` lists them.
        EmptySelectionError
            The filters leave nothing.
        UsageError
            Filters that contradict each other; ``name`` or ``source``, which are the hub's.
        """
        _refuse_names(options)
        names = ("asset_keys", "roles", "media_types", "where")
        more: dict[str, Any] = {name: options.get(name) for name in names}
        Filters(collection_filter, datetime, bbox, intersects, **more).check()
        session = self._asking(Access(api_key=api_key, profile=profile))
        if api_key or profile:
            # A key that the hub refuses is an error before anything is written.
            client.get_dataset_by_id(self.id, session=session)
        return download(
            session.url(f"catalog/{quote(self.id, safe='')}"),
            output_dir,
            name=self.id,
            asset_output_dir=asset_output_dir,
            catalog_only=catalog_only,
            if_exists=if_exists,
            bbox=bbox,
            intersects=intersects,
            datetime=datetime,
            collection_filter=collection_filter,
            progress=progress,
            secrets=session.secrets.joined(options.pop("secrets", None)),
            **options,
        )

    def _asking(self, access: Access) -> Session:
        """Give the session it was fetched with; another key goes to the same hub."""
        own = self._access.get("session")
        if access.get("api_key") or access.get("profile"):
            root = own.root_url if own else self._access.get("root_url")
            return client.session_of(Access(**access, root_url=root))
        if own is None:
            own = self._access["session"] = client.session_of(self._access)
        return own


def _refuse_names(options: Mapping[str, Any]) -> None:
    for name in ("name", "source"):
        if name in options:
            raise UsageError(
                f"Dataset.download() takes no {name}: a hub's dataset is called as the hub does "
                "and comes from it; haversack.download.download() takes one"
            )
