"""An echo server on the native engine: `echo_server.py COMPRESSION`. Writes its port, serves."""

from __future__ import annotations

import sys
from typing import Any

from wynd import ConnectionHandle, TextMessage, Wynd

compression: Any = sys.argv[1]
wynd = Wynd(engine="native", compression=compression)


@wynd.on_text
def echo(message: TextMessage, handle: ConnectionHandle) -> None:
    handle.send_text(message.data)


def write_port() -> None:
    address = wynd.addresses[0]
    sys.stdout.write(f"{address[1]}\n")


wynd.run(0, write_port, host="127.0.0.1")
