"""The hub's objects: those of :mod:`haversack.hub` under their old name."""

from haversack.hub.collection import Collection
from haversack.hub.dataset import Dataset
from haversack.hub.model import MLModel

__all__ = ["Collection", "Dataset", "MLModel"]
