"""Floor 4: pictures of what is there."""

from haversack.view.places import footprints
from haversack.view.planes import draw_array
from haversack.view.sheet import contact_sheet

__all__ = ["contact_sheet", "draw_array", "footprints"]
