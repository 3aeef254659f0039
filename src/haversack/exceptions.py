"""What goes wrong with a hub: those of :mod:`haversack.errors` under the old module's name."""

from haversack.errors import (
    APIKeyNotFound,
    AuthenticationError,
    EntityDoesNotExist,
    MLHubException,
)

__all__ = ["APIKeyNotFound", "AuthenticationError", "EntityDoesNotExist", "MLHubException"]
