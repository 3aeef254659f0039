"""A collection of a hub: a pystac.Collection that knows where it came from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Unpack, cast

import pystac

from haversack.errors import EntityDoesNotExist
from haversack.events import Progress
from haversack.hub import client, shapes
from haversack.hub.client import Access, IfExists
from haversack.hub.session import Session


class Collection(pystac.Collection):
    """A STAC Collection of a hub.

    Get one with :meth:`fetch` or from :attr:`haversack.Dataset.collections`.
    """

    session: Session | None = None

    @classmethod
    def of(cls, answer: dict[str, Any], session: Session) -> Collection:
        """Read a hub's answer."""
        collection = shapes.stac(cls.from_dict, answer, session.root_url, "collection")
        collection.session = session
        return collection

    @classmethod
    def list(cls, **access: Unpack[Access]) -> list[Collection]:
        """List the collections of a hub."""
        session = client.session_of(access)
        return [cls.of(answer, session) for answer in client.list_collections(session=session)]

    @classmethod
    def fetch(cls, collection_id: str, **access: Unpack[Access]) -> Collection:
        """Fetch a collection.

        Raises
        ------
        EntityDoesNotExist
            The hub has no such collection.
        """
        session = client.session_of(access)
        return cls.of(client.get_collection(collection_id, session=session), session)

    def fetch_item(self, item_id: str, **access: Unpack[Access]) -> pystac.Item:
        """Fetch one of its items.

        Raises
        ------
        EntityDoesNotExist
            It has no such item.
        """
        session = self._asking(access)
        answer = client.get_collection_item(self.id, item_id, session=session)
        return shapes.stac(pystac.Item.from_dict, answer, session.root_url, "item")

    def get_items(self, *ids: str, recursive: bool = False) -> Iterator[pystac.Item]:  # noqa: ARG002
        """Give its items, page after page as they are needed; with ids, only those."""
        session = self._asking({})
        if ids:
            yield from (self.fetch_item(item_id) for item_id in ids)
            return
        answers = client.list_collection_items(self.id, page_size=100, limit=None, session=session)
        for answer in answers:
            yield shapes.stac(pystac.Item.from_dict, answer, session.root_url, "item")

    def download(
        self,
        output_dir: str | os.PathLike[str] = ".",
        *,
        if_exists: IfExists = "resume",
        progress: Progress = True,
        **access: Unpack[Access],
    ) -> Path:
        """Download all of it as one archive (see ``client.download_collection_archive``)."""
        return client.download_collection_archive(
            self.id,
            output_dir,
            if_exists=if_exists,
            progress=progress,
            session=self._asking(access),
        )

    @property
    def archive_size(self) -> int | None:
        """Bytes of its archive; None when the hub has none."""
        try:
            info = client.get_collection_archive_info(self.id, session=self._asking({}))
        except EntityDoesNotExist:
            return None
        return shapes.size(info, "size")

    @property
    def registry_url(self) -> str | None:
        """Page of its DOI in the old hub's registry; None without a DOI."""
        doi = self.extra_fields.get("sci:doi")
        return None if doi is None else f"https://mlhub.earth/{doi}"

    def _asking(self, access: Access) -> Session:
        """Give the session it was fetched with; another key goes to the same hub."""
        client.check_access(access)
        given = {name: value for name, value in access.items() if value is not None}
        if self.session is None or given.get("session"):
            return client.session_of(access)
        if not given:
            return self.session
        return client.session_of(cast("Access", {"root_url": self.session.root_url} | given))
