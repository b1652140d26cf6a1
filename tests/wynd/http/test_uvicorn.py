"""What `uvicorn --ws wynd.http.uvicorn:WyndProtocol` loads, and what `import wynd` does not."""

from __future__ import annotations

import subprocess
import sys

from uvicorn.importer import import_from_string

WITHOUT_NATIVE = """\
import sys
sys.modules["wynd._engine"] = None
from wynd.http.uvicorn import WyndProtocol
print(WyndProtocol.__module__)
"""
LAZY = """\
import sys
import wynd
print(sorted({"uvicorn", "starlette"} & set(sys.modules)))
"""


def run(program: str) -> tuple[str, str]:
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip(), done.stderr.strip()


def test_uvicorn_finds_it_by_name() -> None:
    found = import_from_string("wynd.http.uvicorn:WyndProtocol")
    assert found.__module__ == "wynd.http.websocket"


def test_without_the_native_module_it_is_uvicorns_and_says_so() -> None:
    module, said = run(WITHOUT_NATIVE)
    assert module == "uvicorn.protocols.websockets.wsproto_impl"
    assert said.startswith("wynd's native module is not built here")
    assert said.endswith("WebSockets run on wsproto")


def test_without_the_native_module_nothing_is_inflated() -> None:
    program = WITHOUT_NATIVE + (
        "\nfrom wynd.http.hosts import HostConfig"
        "\nfrom wynd.http.portable import _uvicorn_config"
        "\nprint(_uvicorn_config(None, HostConfig(compression='shared')).ws_per_message_deflate)"
    )
    assert run(program)[0].splitlines()[-1] == "False"


def test_import_wynd_imports_no_web_framework() -> None:
    assert run(LAZY) == ("[]", "")
