"""Floor 4: what others wrote becomes packed, and back."""

from haversack.convert.acumen import export_acumen, import_acumen
from haversack.convert.catalog import pack_catalog
from haversack.convert.image import read_image

__all__ = ["export_acumen", "import_acumen", "pack_catalog", "read_image"]
