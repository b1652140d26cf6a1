"""What each command does, one file per group of the registry."""

from wynd_chat.gateway.commands import accounts, files, me, moderation, rooms, server, talking

__all__ = ["HANDLERS"]

HANDLERS = {
    **talking.HANDLERS,
    **rooms.HANDLERS,
    **me.HANDLERS,
    **accounts.HANDLERS,
    **files.HANDLERS,
    **moderation.HANDLERS,
    **server.HANDLERS,
}
