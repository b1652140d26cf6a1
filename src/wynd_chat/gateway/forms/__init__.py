"""Small HTML forms for signing in, registering and links, which work without script."""

from wynd_chat.gateway.forms.routes import Forms

__all__ = ["Forms"]
