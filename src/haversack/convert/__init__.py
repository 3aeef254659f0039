"""Floor 4: what others wrote becomes packed, and back."""

from haversack.convert.acumen import export_acumen, import_acumen
from haversack.convert.bcolz import Imported, import_bcolz, is_storage
from haversack.convert.catalog import pack_catalog
from haversack.convert.image import read_image

__all__ = [
    "Imported",
    "export_acumen",
    "import_acumen",
    "import_bcolz",
    "is_storage",
    "pack_catalog",
    "read_image",
]
