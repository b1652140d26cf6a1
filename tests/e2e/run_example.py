"""Runs one example as `python FILE` does, but on a free port and on a named engine.

Called as `run_example.py FILE ENGINE FD`: writes the port to the descriptor FD when the server
listens. Changes the two things a test has to choose and nothing else, so that the examples can
stay what their readers see.
"""

from __future__ import annotations

import os
import runpy
import sys
from typing import TYPE_CHECKING, Any

import wynd

if TYPE_CHECKING:
    from collections.abc import Callable

FILE, ENGINE, FD = sys.argv[1], sys.argv[2], int(sys.argv[3])


class ExampleWynd(wynd.Wynd):
    """A `Wynd` on the engine under test, whose `run` takes a free port."""

    def __init__(self, **options: Any) -> None:
        super().__init__(engine=ENGINE, **options)  # type: ignore[arg-type]  # from the command line

    def run(self, port: int | None = None, on_listening: Any = None, **options: Any) -> None:
        assert port == 8080, "the tutorial listens on 8080"
        super().run(0, self._telling(on_listening), **options)

    def _telling(self, on_listening: Callable[[], object]) -> Callable[[], None]:
        def told() -> None:
            on_listening()
            address = self.addresses[0]
            os.write(FD, f"{address[1]}\n".encode())
            os.close(FD)

        return told


wynd.Wynd = ExampleWynd  # type: ignore[misc]  # examples import the name from here
sys.argv = [FILE]
runpy.run_path(FILE, run_name="__main__")
