"""`python -m wynd.cli` is the command `wynd`; the supervisor starts its workers so."""

import sys

from wynd.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
