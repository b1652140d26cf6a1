"""Who may connect is decided before the upgrade, from the cookie of the page's login."""

import secrets

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

import wynd
from wynd.http import App

app = App()
server = wynd.Wynd()
sessions: dict[str, str] = {}
PASSWORDS = {"alice": "correct horse"}  # yours are hashes in a database


@app.post("/login")
async def login(request: Request) -> Response:
    form = await request.json()
    known = PASSWORDS.get(form["name"], "")
    if not known or not secrets.compare_digest(known, form["password"]):
        return JSONResponse({"error": "Wrong name or password."}, 401)
    token = secrets.token_urlsafe()
    sessions[token] = form["name"]
    response = JSONResponse({"name": form["name"]})
    response.set_cookie("session", token, httponly=True, samesite="strict")
    return response


@server.on_request
async def check(request: wynd.Request) -> wynd.Response | None:
    if request.cookies.get("session") not in sessions:
        return wynd.Response("Log in first.\n", 401)
    return None


@server.on_open
async def opened(handle: wynd.ConnectionHandle) -> None:
    handle.data["name"] = sessions[handle.request.cookies["session"]]
    await handle.send_text(f"Hello, {handle.data['name']}")


app.use_wynd("/ws", server.handler())

if __name__ == "__main__":
    app.run(3000)
