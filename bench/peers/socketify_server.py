"""socketify (uWebSockets): PORT echo|fanout."""

import sys

from socketify import App, CompressOptions, OpCode

port, mode = int(sys.argv[1]), sys.argv[2]


def message(ws, text, opcode) -> None:
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
        "idle_timeout": 120,
        "open": lambda ws: ws.subscribe("all"),
        "message": message,
    },
)
app.listen(port, lambda config: None)
app.run()
