"""Floor 4: what others wrote becomes packed."""

from haversack.convert.catalog import pack_catalog
from haversack.convert.image import read_image

__all__ = ["pack_catalog", "read_image"]
