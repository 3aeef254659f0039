"""The hub's answers as plain dicts: :mod:`haversack.hub.client` under its old name."""

from haversack.hub.client import (
    download_collection_archive,
    get_catalog_info,
    get_collection,
    get_collection_archive_info,
    get_collection_item,
    get_dataset,
    get_dataset_by_doi,
    get_dataset_by_id,
    get_model_by_id,
    list_collection_items,
    list_collections,
    list_datasets,
    list_models,
)

__all__ = [
    "download_collection_archive",
    "get_catalog_info",
    "get_collection",
    "get_collection_archive_info",
    "get_collection_item",
    "get_dataset",
    "get_dataset_by_doi",
    "get_dataset_by_id",
    "get_model_by_id",
    "list_collection_items",
    "list_collections",
    "list_datasets",
    "list_models",
]
