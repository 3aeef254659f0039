"""AcumenIndexer's names, on packed datasets; and its old directories, read and written."""

from haversack.convert.acumen.building import split_into_chunks
from haversack.convert.acumen.exchange import export_acumen, import_acumen
from haversack.convert.acumen.index import load_index
from haversack.convert.acumen.reading import read_from_index

__all__ = [
    "export_acumen",
    "import_acumen",
    "load_index",
    "read_from_index",
    "split_into_chunks",
]
