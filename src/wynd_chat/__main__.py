"""`python -m wynd_chat` is `wynd-chat`."""

from __future__ import annotations

import sys

from wynd_chat.cli.main import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
