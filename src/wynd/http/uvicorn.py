"""`uvicorn --ws wynd.http.uvicorn:WyndProtocol module:app`: the class that uvicorn loads by name.

Decides which class that is: ours where the native module is built, else uvicorn's own on wsproto.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

INFLATES_IN_BOUNDS = True
"""Whether it stops inflating at `ws_max_size`; wsproto looks at a frame when it is inflated."""

if TYPE_CHECKING:
    from wynd.http.websocket import WyndProtocol
else:
    try:
        from wynd.http.websocket import WyndProtocol
    except ImportError as missing:
        from uvicorn.protocols.websockets.wsproto_impl import WSProtocol as WyndProtocol

        INFLATES_IN_BOUNDS = False
        logging.getLogger("uvicorn.error").warning(
            "wynd's native module is not built here (%s); WebSockets run on wsproto", missing
        )

__all__ = ["WyndProtocol"]
