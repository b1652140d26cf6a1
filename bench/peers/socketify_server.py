# mypy: ignore-errors
# Its imports live in the environment of the peers, not in this project's.
"""socketify (uWebSockets): PORT echo|fanout."""

import sys
from typing import Any

from socketify import App, AppListenOptions, CompressOptions, OpCode

port, mode = int(sys.argv[1]), sys.argv[2]


def message(ws: Any, text: str, opcode: Any) -> None:
    """Answer one message."""
    if mode == "echo":
        ws.send(text, OpCode.TEXT)
    else:
        ws.publish("all", text, OpCode.TEXT)


app = App()
app.ws(
    "/",
    {
        "compression": CompressOptions.DISABLED,
        "max_payload_length": 1 << 20,
        "max_backpressure": 64 << 20,  # the default drops messages at 64 KiB unsent
        "idle_timeout": 120,
        "open": lambda ws: ws.subscribe("all"),
        "message": message,
    },
)
app.listen(AppListenOptions(port=port, host="127.0.0.1"), lambda config: None)
app.run()
