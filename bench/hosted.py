"""Our application as a plain ASGI one, for `uvicorn bench.hosted:app`: MODE is echo or fanout."""

from __future__ import annotations

import os

from bench.ours import application

app = application(os.environ.get("MODE", "echo"), "async", "portable").handler()
