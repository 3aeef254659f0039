"""A machine-learning model of a hub: a pystac.Item."""

from __future__ import annotations

from typing import Any, Unpack

import pystac

from haversack.hub import client, shapes
from haversack.hub.client import Access
from haversack.hub.session import Session


class MLModel(pystac.Item):
    """A model of a hub, as STAC Item; get one with :meth:`fetch`."""

    session: Session | None = None

    @classmethod
    def of(cls, answer: dict[str, Any], session: Session) -> MLModel:
        """Read a hub's answer."""
        model = shapes.stac(cls.from_dict, answer, session.root_url, "model")
        model.session = session
        return model

    @classmethod
    def list(cls, **access: Unpack[Access]) -> list[MLModel]:
        """List the models of a hub."""
        session = client.session_of(access)
        return [cls.of(answer, session) for answer in client.list_models(session=session)]

    @classmethod
    def fetch(cls, model_id: str, **access: Unpack[Access]) -> MLModel:
        """Fetch a model.

        Raises
        ------
        EntityDoesNotExist
            The hub has no such model.
        """
        session = client.session_of(access)
        return cls.of(client.get_model_by_id(model_id, session=session), session)
