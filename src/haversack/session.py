"""Sessions with a hub: those of :mod:`haversack.hub` under their old name."""

from haversack.hub.session import ANONYMOUS_PROFILE, Session, get_session

__all__ = ["ANONYMOUS_PROFILE", "Session", "get_session"]
