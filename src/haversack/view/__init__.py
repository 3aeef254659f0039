"""Floor 4: pictures of what is there."""

from haversack.view.places import footprints
from haversack.view.sheet import contact_sheet

__all__ = ["contact_sheet", "footprints"]
