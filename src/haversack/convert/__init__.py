"""Floor 4: what others wrote becomes packed, and back."""

from haversack.convert.acumen import export_acumen, import_acumen
from haversack.convert.arrays import export_array, import_array
from haversack.convert.bcolz import Imported, import_bcolz, is_storage
from haversack.convert.catalog import pack_catalog
from haversack.convert.image import read_image

__all__ = [
    "Imported",
    "export_acumen",
    "export_array",
    "import_acumen",
    "import_array",
    "import_bcolz",
    "is_storage",
    "pack_catalog",
    "read_image",
]
