"""A server that speaks wss and https itself; SIGHUP renews its certificate."""

import logging
import sys
from pathlib import Path

from wynd import CertificateError, TextMessage, Tls, Wynd

wynd = Wynd()


@wynd.on_text
async def said(message: TextMessage) -> None:
    await message.handle.send_text(message.data)


def main(folder: Path, port: int) -> None:
    """Serve with the certificate and the key in `folder`."""
    logging.basicConfig(level=logging.INFO)
    tls = Tls(certificate=folder / "fullchain.pem", key=folder / "privkey.pem")
    try:
        wynd.run(port, host="0.0.0.0", tls=tls)
    except CertificateError as error:
        sys.exit(f"cannot start: {error}")


if __name__ == "__main__":
    main(Path("/etc/letsencrypt/live/example.org"), 443)
