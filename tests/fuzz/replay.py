"""Runs inputs through a target, without a fuzzer: `python -m tests.fuzz.replay TARGET FILE ...`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from tests.fuzz.bounds import run_bounded
from tests.fuzz.places import TARGETS, check_of


def main(arguments: list[str]) -> None:
    """Run them in order; the first that fails ends it with its traceback."""
    if len(arguments) < 2 or arguments[0] not in TARGETS:
        raise SystemExit(f"usage: python -m tests.fuzz.replay {{{','.join(TARGETS)}}} FILE ...")
    target, *names = arguments
    logging.disable()
    check = check_of(target)
    for name in names:
        run_bounded(check, Path(name).read_bytes())
    sys.stdout.write(f"{target}: {len(names)} inputs, no finding\n")


if __name__ == "__main__":
    main(sys.argv[1:])
