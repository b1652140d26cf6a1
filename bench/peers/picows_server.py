# mypy: ignore-errors
# Its imports live in the environment of the peers, not in this project's.
"""picows: PORT echo|messages|fanout."""

import sys

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

port, mode = int(sys.argv[1]), sys.argv[2]
clients: set[WSTransport] = set()


class Listener(WSListener):
    """Answers one connection."""

    message_type = WSMsgType.TEXT
    message = b""

    def on_ws_connected(self, transport: WSTransport) -> None:
        clients.add(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        clients.discard(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif mode == "messages":  # as "echo", for fragmented messages too
            if frame.msg_type in (WSMsgType.TEXT, WSMsgType.BINARY):
                self.message_type, self.message = frame.msg_type, b""
            if frame.msg_type in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
                self.message += frame.get_payload_as_bytes()
                if frame.fin:
                    transport.send(self.message_type, self.message)
        elif mode == "echo":
            transport.send(frame.msg_type, frame.get_payload_as_memoryview())
        else:
            payload = frame.get_payload_as_bytes()
            for client in clients:
                if client is not transport:
                    client.send(WSMsgType.TEXT, payload)


async def main() -> None:
    """Serve for ever."""
    server = await ws_create_server(lambda request: Listener(), "127.0.0.1", port)
    await server.serve_forever()


uvloop.run(main())
