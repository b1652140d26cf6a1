"""HTTP and WebSocket on one port: `App`, a Starlette application that a `Wynd` is mounted in.

The layers, from the top: `app` (routes, `use_wynd`, `run`) → `serving` (listen, signals, which
host) → `portable` (uvicorn with `websocket`) ← `hosts` (the interface of a host). `uvicorn` is what
`uvicorn --ws` loads. `import wynd` imports none of this.
"""

from wynd.http.app import App
from wynd.http.serving import Server, serve

__all__ = ["App", "Server", "serve"]
