"""Floor 4: the MLHub API, as its Python client gave it."""

from haversack.hub import client
from haversack.hub.collection import Collection
from haversack.hub.dataset import Dataset
from haversack.hub.model import MLModel
from haversack.hub.session import Session, get_session

__all__ = ["Collection", "Dataset", "MLModel", "Session", "client", "get_session"]
