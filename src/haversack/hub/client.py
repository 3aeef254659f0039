"""The hub's answers as plain lists and dicts.

Every function takes the same keywords, which say which hub to ask and as whom: ``api_key``,
``profile`` and ``root_url`` as :func:`haversack.get_session` takes them, or a ``session`` that is
open already.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, TypedDict, Unpack, get_args
from urllib.parse import quote

from haversack import events
from haversack.download.access import Access as Transfers
from haversack.download.origin import Origin, shown
from haversack.download.transfer import Request
from haversack.errors import EntityDoesNotExist, UnsupportedError
from haversack.events import Progress
from haversack.hub import checks, shapes
from haversack.hub.session import Parameters, Session, get_session
from haversack.hub.shapes import Object
from haversack.storage.looking import as_path
from haversack.storage.names import component
from haversack.storage.publish import make_directory

log = logging.getLogger("haversack.hub")
_PAGE, _LARGEST_PAGE = 1_000, 10_000  # hubs refuse to be asked for more at once

IfExists = Literal["resume", "skip", "overwrite"]


class Access(TypedDict, total=False):
    """Which hub to ask, and as whom."""

    api_key: str | None
    profile: str | None
    root_url: str | None
    session: Session | None


def session_of(access: Access) -> Session:
    """Give the session of the keywords, or open the one they name.

    Raises
    ------
    UnsupportedError
        One is unknown, or of another kind.
    """
    check_access(access)
    return access.get("session") or get_session(
        api_key=access.get("api_key"),
        profile=access.get("profile"),
        root_url=access.get("root_url"),
    )


def check_access(access: Access) -> None:
    """Refuse keywords that are none, before anything is asked.

    Raises
    ------
    UnsupportedError
        One is unknown, or of another kind.
    """
    for name, value in access.items():
        if name not in Access.__annotations__:
            known = ", ".join(Access.__annotations__)
            raise UnsupportedError(
                f"unknown keyword {name!r}: besides its own, this takes only {known}"
            )
        if name == "session" and not isinstance(value, Session | None):
            raise UnsupportedError(f"session is what get_session() gives, not {value!r}")


def list_datasets(
    *,
    tags: str | Sequence[str] | None = None,
    text: str | Sequence[str] | None = None,
    **access: Unpack[Access],
) -> list[Object]:
    """List the datasets of a hub.

    Parameters
    ----------
    tags
        Only datasets that have all of these tags, exactly.
    text
        Only datasets that have all of these phrases somewhere in their texts.
    access
        Which hub to ask, and as whom.

    Examples
    --------
    >>> import tempfile
    >>> from haversack.server import background
    >>> with background(tempfile.mkdtemp()) as server:
    ...     list_datasets(root_url=server.url)
    []
    """
    checks.texts("tags", tags)
    checks.texts("text", text)
    session = session_of(access)
    found = session.get("datasets", {"tags": tags, "text": text})
    listed = shapes.objects(found, session.root_url, "datasets")
    return [shapes.dataset(one, session.root_url, "datasets") for one in listed]


def get_dataset(dataset_id_or_doi: str, **access: Unpack[Access]) -> Object:
    """Get a dataset by its id, or by its DOI, which is what has a slash."""
    checks.text("a dataset's id or DOI", dataset_id_or_doi)
    if "/" in dataset_id_or_doi:
        return get_dataset_by_doi(dataset_id_or_doi, **access)
    return get_dataset_by_id(dataset_id_or_doi, **access)


def get_dataset_by_id(dataset_id: str, **access: Unpack[Access]) -> Object:
    """Get a dataset.

    Raises
    ------
    EntityDoesNotExist
        The hub has no such dataset.
    """
    return _dataset(access, f'Dataset "{dataset_id}"', "datasets", dataset_id)


def get_dataset_by_doi(dataset_doi: str, **access: Unpack[Access]) -> Object:
    """Get a dataset by its DOI.

    Raises
    ------
    EntityDoesNotExist
        The hub has no such dataset.
    """
    checks.text("a dataset's DOI", dataset_doi)
    doi = dataset_doi.removeprefix("https://doi.org/").removeprefix("doi:")
    return _dataset(access, f'Dataset with DOI "{doi}"', "datasets", "doi", *doi.split("/"))


def get_catalog_info(dataset_id: str, **access: Unpack[Access]) -> Object:
    """Get the sizes of a dataset: ``stac_catalog_size``, ``estimated_dataset_size`` (bytes)."""
    return _get(access, f'Dataset "{dataset_id}"', "catalog", dataset_id, "info")


def list_collections(**access: Unpack[Access]) -> list[Object]:
    """List the collections of all datasets, as STAC Collections."""
    return list(_paged(session_of(access), "collections", "collections"))


def get_collection(collection_id: str, **access: Unpack[Access]) -> Object:
    """Get a STAC Collection.

    Raises
    ------
    EntityDoesNotExist
        The hub has no such collection.
    """
    return _get(access, f'Collection "{collection_id}"', "collections", collection_id)


def list_collection_items(
    collection_id: str,
    *,
    page_size: int | None = None,
    extensions: Sequence[str] | None = None,
    limit: int | None = 10,
    **access: Unpack[Access],
) -> Iterator[Object]:
    """Give the STAC Items of a collection, page after page as they are needed.

    Parameters
    ----------
    collection_id
        Collection to list.
    page_size
        Items to ask for at once; more than 10,000, which hubs refuse, count as so many.
    extensions
        Only items with these STAC extensions.
    limit
        Most items to give; None gives all.
    access
        Which hub to ask, and as whom.

    Raises
    ------
    EntityDoesNotExist
        The hub has no such collection.
    """
    checks.text("a collection's id", collection_id)
    checks.texts("extensions", extensions)
    checks.count("page_size", page_size, least=1)
    checks.count("limit", limit, least=0)
    page = min(page_size, _LARGEST_PAGE) if page_size else min(limit or 0, _PAGE) or None
    items = _items(session_of(access), collection_id, page, extensions)
    return itertools.islice(items, limit)


def _items(
    session: Session, collection_id: str, page_size: int | None, extensions: Sequence[str] | None
) -> Iterator[Object]:
    path, asked = _path("collections", collection_id, "items"), {"limit": page_size}
    try:
        yield from _paged(session, "features", path, asked | {"extensions": extensions})
    except EntityDoesNotExist:
        raise EntityDoesNotExist(_missing(session, f'Collection "{collection_id}"')) from None


def get_collection_item(collection_id: str, item_id: str, **access: Unpack[Access]) -> Object:
    """Get a STAC Item.

    Raises
    ------
    EntityDoesNotExist
        The hub has no such collection, or the collection no such item.
    """
    what = f'Item "{item_id}" of collection "{collection_id}"'
    return _get(access, what, "collections", collection_id, "items", item_id)


def get_collection_archive_info(collection_id: str, **access: Unpack[Access]) -> Object:
    """Get the dataset, the size (bytes) and the types of a collection's archive.

    Raises
    ------
    EntityDoesNotExist
        The hub has no such collection, or no archive of it.
    """
    return _get(
        access, f'Archive of collection "{collection_id}"', "archive", collection_id, "info"
    )


def download_collection_archive(
    collection_id: str,
    output_dir: str | os.PathLike[str] = ".",
    *,
    if_exists: IfExists = "resume",
    progress: Progress = True,
    **access: Unpack[Access],
) -> Path:
    """Download all of a collection as one archive, ``COLLECTION.tar.gz``.

    Parameters
    ----------
    collection_id
        Collection to download.
    output_dir
        Directory for the archive; made when missing.
    if_exists
        ``"resume"`` keeps an archive of the right size, ``"skip"`` any, ``"overwrite"`` none.
    progress
        True draws a bar; None is silent; a callable gets :class:`haversack.events.Event` values.
    access
        Which hub to ask, and as whom.

    Returns
    -------
    Path
        The archive.

    Raises
    ------
    EntityDoesNotExist
        The hub has no such collection.
    DownloadError
        The archive could not be fetched.
    """
    checks.text("a collection's id", collection_id)
    checks.one_of("if_exists", if_exists, get_args(IfExists))
    listener, session = events.listener(progress), session_of(access)
    path = as_path(output_dir) / f"{component(collection_id)}.tar.gz"
    if if_exists == "skip" and path.exists():
        return path
    size = shapes.size(get_collection_archive_info(collection_id, session=session), "size")
    if if_exists == "resume" and path.exists() and path.stat().st_size == size:
        return path
    make_directory(path.parent)
    wanted = Request(session.url(_path("archive", collection_id)), path)
    log.info("fetch %s from %s...", path.name, shown(wanted.url))
    transfers, origin = Transfers(session.secrets), Origin.of(session.root_url)
    transfers.fetch(wanted, origin, listener, total=size).raise_failed()
    log.info("archive saved to %s", path)
    return path


def list_models(**access: Unpack[Access]) -> list[Object]:
    """List the models of a hub, as STAC Items."""
    session = session_of(access)
    return shapes.objects(session.get("models"), session.root_url, "models")


def get_model_by_id(model_id: str, **access: Unpack[Access]) -> Object:
    """Get a model, as STAC Item.

    Raises
    ------
    EntityDoesNotExist
        The hub has no such model.
    """
    return _get(access, f'Model "{model_id}"', "models", model_id)


def _path(*parts: str) -> str:
    """Write a path; an id is one part of it, whatever it holds."""
    return "/".join(quote(part, safe="") for part in parts)


def _get(access: Access, what: str, *parts: str) -> Object:
    session = session_of(access)
    for part in parts:
        checks.text("an id", part)
    if any(part in ("", ".", "..") for part in parts):
        raise EntityDoesNotExist(_missing(session, what))
    try:
        return shapes.an_object(session.get(_path(*parts)), session.root_url, what)
    except EntityDoesNotExist:
        raise EntityDoesNotExist(_missing(session, what)) from None


def _dataset(access: Access, what: str, *parts: str) -> Object:
    session = session_of(access)
    return shapes.dataset(_get({"session": session}, what, *parts), session.root_url, what)


def _paged(
    session: Session, name: str, path: str, parameters: Parameters | None = None
) -> Iterator[Object]:
    """Give the objects under a name of page after page."""
    for page in session.paginate(path, parameters):
        yield from shapes.objects(page.get(name, []), session.root_url, path)


def _missing(session: Session, what: str) -> str:
    return f"{what} does not exist on the hub at {session.root_url}"
