"""The chat over HTTP: the tutorial's two endpoints, and `/api/v1`."""

from wynd_chat.gateway.rest.api import make_api

__all__ = ["make_api"]
