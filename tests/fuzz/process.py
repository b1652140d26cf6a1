"""One target under atheris: `python -m tests.fuzz.process TARGET [options of libFuzzer] FOLDERS`.

`run` starts it, with atheris in PYTHONPATH. Only our modules and the parsers they stand on are
instrumented.
"""

from __future__ import annotations

import importlib
import logging
import sys
from typing import Any

from tests.fuzz.bounds import run_bounded
from tests.fuzz.places import check_of, program_of

INSTRUMENTED = ["wynd", "wynd_chat", "python_multipart", "precis_i18n"]


def main() -> None:
    """Fuzz until libFuzzer ends it."""
    atheris: Any = importlib.import_module("atheris")
    target = sys.argv.pop(1)
    sys.argv[0] = str(program_of(target))  # a merge starts itself again, by this name
    logging.disable()  # what handlers raise is meant to be logged, not read
    with atheris.instrument_imports(include=INSTRUMENTED):
        check = check_of(target)
    atheris.Setup(sys.argv, lambda data: run_bounded(check, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
