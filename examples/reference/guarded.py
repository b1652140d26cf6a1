"""Who may connect: asked before the upgrade, and once more by a middleware."""

from wynd import Accept, Connection, ConnectionHandle, Reject, Request, Response, Wynd
from wynd.middleware import Next

TOKENS = {"secret-of-alice": "Alice"}
BANNED = {"Mallory"}

wynd = Wynd(origins=["https://example.org"], subprotocols=["chat.v1"])


@wynd.on_request
async def asked(request: Request) -> Response | Accept | None:
    if request.path == "/health":
        return Response("ok\n")
    if request.cookies.get("token") not in TOKENS and "name" not in request.query_params:
        return Response("Log in first.\n", status=401)
    return Accept(headers={"X-Server": "chat-1"})


@wynd.use_middleware
async def known(conn: Connection, handle: ConnectionHandle, proceed: Next) -> None:
    cookie = handle.request.cookies.get("token", "")
    handle.data["name"] = TOKENS.get(cookie) or handle.request.query_params["name"][0]
    if handle.data["name"] in BANNED:
        raise Reject(4003, "You are banned.")
    return await proceed(conn, handle)


@wynd.on_open
async def greet(handle: ConnectionHandle) -> None:
    await handle.send_text(f"Hello, {handle.data['name']}")
