"""The command line: what is said about wrong arguments, and with which exit code."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.wynd.cli.programs import APPLICATION, run_command
from wynd.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site_app.py").write_text(APPLICATION + "\nnumber = 1\n")
    (tmp_path / "broken.py").write_text("import nothing_of_this_name\n")
    return tmp_path


@pytest.mark.parametrize("more", [[], ["--workers", "2"]])
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nowhere:app", "there is no module 'nowhere'"),
        ("site_app:none", "module 'site_app' has no attribute 'none'"),
        ("site_app:number", "site_app:number is no ASGI application: it cannot be called"),
        ("site_app", "an application is named module:attribute, as in main:app, not 'site_app'"),
    ],
)
async def test_what_is_no_application_is_one_sentence(
    folder: Path, name: str, sentence: str, more: list[str]
) -> None:
    result = await run_command(folder, "serve", name, "--port", "0", *more)
    assert result == (1, "", f"wynd: {sentence}\n")


async def test_a_module_that_misses_another_shows_where(folder: Path) -> None:
    code, _, errors = await run_command(folder, "serve", "broken:app", "--port", "0")
    assert code == 1
    assert "ModuleNotFoundError: No module named 'nothing_of_this_name'" in errors


@pytest.mark.parametrize("more", [[], ["--workers", "2"]])
async def test_a_port_in_use_is_one_sentence(folder: Path, more: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        arguments = ("serve", "site_app:app", "--host", "127.0.0.1", "--port", port)
        result = await run_command(folder, *arguments, "--log-level", "error", *more)
    assert result[0] == 1
    assert result[2] == f"wynd: cannot listen on 127.0.0.1:{port}: Address already in use\n"


@pytest.mark.parametrize("more", [[], ["--workers", "2"], ["--reload"]])
async def test_a_bad_certificate_is_one_sentence(folder: Path, more: list[str]) -> None:
    (folder / "bad.pem").write_text("no certificate")
    arguments = ("serve", "site_app:app", "--port", "0", "--tls-cert", "bad.pem")
    result = await run_command(folder, *arguments, "--log-level", "error", *more)
    reason = "certificate file bad.pem holds no certificate: no PEM block CERTIFICATE"
    assert result == (1, "", f"wynd: {reason}\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--port", "70000"], "a port is 0 to 65535, not '70000'"),
        (["--workers", "0"], "workers are 1 to 1024, not '0'"),
        (["--log-level", "loud"], "invalid choice: 'loud'"),
        (["--compression", "dedicated"], "invalid choice: 'dedicated'"),
        (["--drain", "-1"], "seconds are 0 to 86400, not '-1'"),
        (["--drain", "nan"], "seconds are 0 to 86400, not 'nan'"),
        (["--drain", "soon"], "seconds are 0 to 86400, not 'soon'"),
    ],
)
def test_wrong_values_are_exit_code_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", "a:b", *arguments])
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--port", "1", "--uds", "x"], "give --port or --uds, not both"),
        (["--tls-key", "x"], "--tls-key needs --tls-cert"),
        (["--proxy-protocol"], "--proxy-protocol needs --trusted-proxies: who may name the client"),
        (
            ["--trusted-proxies", "x"],
            "--trusted-proxies: 'x' does not appear to be an IPv4 or IPv6 network",
        ),
    ],
)
def test_contradictions_are_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "a:b", *arguments]) == 1
    assert capsys.readouterr().err == f"wynd: {sentence}\n"
