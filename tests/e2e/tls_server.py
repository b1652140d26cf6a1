"""A server for `test_tls_signals.py`: `tls_server.py ENGINE FOLDER run|listen`.

Prints its port and answers every text; the log goes to standard error.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import Any

from wynd import TextMessage, Tls, Wynd


def main() -> None:
    """Serve until SIGTERM."""
    engine, folder, how = sys.argv[1:]
    logging.basicConfig(level=logging.INFO, format="%(name)s %(levelname)s %(message)s")
    chosen: Any = engine
    wynd = Wynd(engine=chosen)

    @wynd.on_text
    async def text(message: TextMessage) -> None:
        await message.handle.send_text(message.data)

    def listening(addresses: Any) -> None:
        sys.stdout.write(f"{addresses[0][1]}\n")
        sys.stdout.flush()

    tls = Tls(Path(folder) / "server.pem", Path(folder) / "server.key")
    if how == "run":
        wynd.run(0, listening, host="127.0.0.1", tls=tls)
    else:
        asyncio.run(wynd.listen(0, listening, host="127.0.0.1", tls=tls))


if __name__ == "__main__":
    main()
