"""Where a mounted Wynd stands; `test_app.py` shows it in a running application."""

from __future__ import annotations

import pytest

from wynd import Wynd
from wynd.http.routes import WyndRoute, wynd_of


def test_the_wynd_behind_its_handler_is_found() -> None:
    wynd = Wynd()
    assert wynd_of(wynd.handler()) is wynd
    with pytest.raises(TypeError, match="use_wynd takes"):
        wynd_of(print)


@pytest.mark.parametrize(
    ("path", "is_there"),
    [("/rooms/7", True), ("/rooms/x", False), ("/rooms/7/", False), ("/rooms", False)],
)
def test_a_route_takes_exactly_its_path(path: str, is_there: bool) -> None:
    route = WyndRoute("/rooms/{number:int}", Wynd().handler())
    scope = {"type": "http", "path": path, "headers": [], "method": "GET"}
    assert route.is_path_of(scope) is is_there
