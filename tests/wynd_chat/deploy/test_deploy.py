"""The files of deploy/: read by the programs they are for, and run where that is possible."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import connect

from tests.certificates import Authority
from tests.programs import program
from tests.wynd_chat.cli.test_serving import Server
from wynd_chat.cli.unit import unit_text
from wynd_chat.settings import KEYS, load

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOY = Path(__file__).parents[3] / "deploy"
WAIT_S = 15.0
NAME = "chat.example.org"


def run(*command: str, **options: Any) -> str:
    """Run a program that must succeed; return all it printed."""
    ran = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=30,
        check=False,
        **options,
    )
    assert ran.returncode == 0, ran.stdout
    return str(ran.stdout)


def free_port() -> int:
    """Return a port of loopback that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def text_of(name: str) -> str:
    """Return a file of deploy/."""
    return (DEPLOY / name).read_text(encoding="utf-8")


# systemd


def test_the_unit_is_what_install_service_writes() -> None:
    assert text_of("wynd-chat.service") == unit_text(["/usr/local/bin/wynd-chat"])


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    analyze = program("systemd-analyze")
    path = tmp_path / "wynd-chat.service"
    path.write_text(unit_text([sys.executable]))  # a program that is there
    assert run(analyze, "verify", "--man=no", str(path)) == ""


def test_systemd_accepts_the_socket(tmp_path: Path) -> None:
    analyze = program("systemd-analyze")
    (tmp_path / "wynd-chat.service").write_text(unit_text([sys.executable]))
    path = tmp_path / "wynd-chat.socket"
    path.write_text(text_of("wynd-chat.socket").replace("# ListenStream", "ListenStream"))
    assert run(analyze, "verify", "--man=no", str(path)) == ""


def test_the_socket_listens_where_the_chat_would() -> None:
    listens = re.findall(r"^ListenStream=(.*)$", text_of("wynd-chat.socket"), re.MULTILINE)
    assert listens == [f"127.0.0.1:{load({}, {}).server.port}"]


def test_systemd_accepts_odd_paths(tmp_path: Path) -> None:
    analyze = program("systemd-analyze")
    odd = tmp_path / "my $chat 50%"
    data = tmp_path / 'my "data" 50%'
    odd.mkdir()
    (odd / "wynd-chat").symlink_to(sys.executable)
    path = tmp_path / "wynd-chat.service"
    path.write_text(unit_text([str(odd / "wynd-chat")], data=data, owner="root"))
    assert run(analyze, "verify", "--man=no", str(path)) == ""


# Containers


def instructions() -> list[tuple[str, str]]:
    """Return (instruction, rest) of the last stage of the Dockerfile."""
    joined = re.sub(r"\\\n\s*", " ", text_of("Dockerfile"))
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    last = max(index for index, line in enumerate(lines) if line.startswith("FROM "))
    found = [line.partition(" ") for line in lines[last:]]
    return [(word, rest.strip()) for word, _, rest in found]


def environment() -> dict[str, str]:
    """Return what the image sets."""
    (env,) = (rest for word, rest in instructions() if word == "ENV")
    return dict(item.split("=", 1) for item in shlex.split(env))


def test_the_image_runs_as_nobody_in_particular_and_keeps_its_data_in_one_volume() -> None:
    found = dict(instructions())
    assert found["USER"] == "10001:10001"
    assert found["VOLUME"] == "/data"
    assert found["ENTRYPOINT"] == '["wynd-chat"]'
    assert [word for word, _ in instructions()].index("USER") > [
        word for word, _ in instructions()
    ].index("RUN")
    assert environment()["WYND_CHAT__STORAGE__DATA"] == "/data"


def test_the_image_binds_all_addresses_with_settings_that_exist() -> None:
    ours = {name: value for name, value in environment().items() if name.startswith("WYND_CHAT__")}
    settings = load({}, ours)
    assert settings.server.host == ("0.0.0.0",)
    assert settings.auth.guests == "auto"  # off, where a public address is bound


def test_the_image_asks_its_server_for_its_health(tmp_path: Path) -> None:
    health = dict(instructions())["HEALTHCHECK"]
    command = json.loads(health.partition("CMD ")[2])
    command[0] = sys.executable
    port = free_port()
    with serving("--port", str(port), "--data", str(tmp_path)):
        run(*command, env={**os.environ, "WYND_CHAT__SERVER__PORT": str(port)})
    ran = subprocess.run(
        command,
        env={**os.environ, "WYND_CHAT__SERVER__PORT": str(port)},
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert ran.returncode != 0


def test_docker_accepts_the_dockerfile(tmp_path: Path) -> None:
    docker = program("docker")
    ran = subprocess.run(
        [docker, "buildx", "version"], capture_output=True, timeout=30, check=False
    )
    if ran.returncode != 0:
        pytest.skip("docker has no buildx here, which alone checks without building")
    run(docker, "build", "--check", "-f", str(DEPLOY / "Dockerfile"), str(DEPLOY.parent))


def test_what_the_build_needs_is_not_ignored() -> None:
    kept = {line[1:] for line in text_of("Dockerfile.dockerignore").splitlines() if line[:1] == "!"}
    named = {"crates", "src", "pyproject.toml", "setup.py", "Cargo.toml", "Cargo.lock", "README.md"}
    assert named <= kept
    assert [name for name in kept if not list(DEPLOY.parent.glob(name))] == []


def compose() -> dict[str, Any]:
    """Return the one service of the compose file."""
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    document: dict[str, Any] = yaml.safe_load(text_of("compose.yaml"))
    assert list(document["services"]) == ["chat"]
    service: dict[str, Any] = document["services"]["chat"]
    return service


def test_compose_runs_one_service_that_may_write_its_volume_only() -> None:
    service = compose()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["volumes"] == ["data:/data"]
    assert service["ports"] == ["127.0.0.1:3000:3000"]
    assert service["stop_grace_period"] == "40s"  # longer than the drain


def test_every_variable_that_the_files_name_is_a_setting() -> None:
    known = {key.variable for key in KEYS.values()}
    named = {
        name
        for path in DEPLOY.iterdir()
        for name in re.findall(r"WYND_CHAT__[A-Z_]+", path.read_text(encoding="utf-8"))
    }
    assert named
    assert named <= known


def test_docker_accepts_the_compose_file() -> None:
    path = str(DEPLOY / "compose.yaml")
    docker, old = shutil.which("docker"), shutil.which("docker-compose")
    for command in ([docker, "compose"] if docker else [], [old] if old else []):
        version = [*command, "version"]
        if command and subprocess.run(version, capture_output=True, check=False).returncode == 0:
            run(*command, "-f", path, "config", "--quiet")
            return
    pytest.skip("docker compose is not installed")


# Proxies


@contextmanager
def serving(*arguments: str) -> Iterator[str]:
    """Run the chat; yield what it prints first."""
    server = Server(*arguments)
    try:
        yield server.lines_until("Data: ")[0]
    finally:
        server.process.kill()
        server.process.communicate()


def test_nginx_accepts_its_file(tmp_path: Path) -> None:
    nginx = program("nginx")
    configuration = nginx_configuration(tmp_path, free_port(), free_port(), free_port())
    assert "test is successful" in run(nginx, "-t", "-c", str(configuration))


def test_caddy_accepts_its_file(tmp_path: Path) -> None:
    caddy = program("caddy")
    path = str(DEPLOY / "Caddyfile")
    home = {**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    run(caddy, "validate", "--adapter", "caddyfile", "--config", path, env=home)
    assert run(caddy, "fmt", path, env=home) == text_of("Caddyfile")


def nginx_configuration(folder: Path, plain: int, tls: int, upstream: int) -> Path:
    """Write the file with ports, certificate and folders of this machine put in."""
    files = Authority(folder).issue()
    text = text_of("nginx.conf")
    for old, new in {
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ssl;": f"listen 127.0.0.1:{tls} ssl;",
        "    listen [::]:80;\n": "",
        "    listen [::]:443 ssl;\n": "",
        "127.0.0.1:3000": f"127.0.0.1:{upstream}",
        f"/etc/letsencrypt/live/{NAME}/fullchain.pem": str(files.certificate),
        f"/etc/letsencrypt/live/{NAME}/privkey.pem": str(files.key),
    }.items():
        assert old in text
        text = text.replace(old, new)
    path = folder / "nginx.conf"
    path.write_text(
        f"daemon off; pid {folder}/pid; error_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n"
        + "".join(
            f"{kind}_temp_path {folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        + f"{text}\n}}\n"
    )
    return path


async def test_through_nginx_people_talk_and_numbers_stay_inside(tmp_path: Path) -> None:
    nginx = program("nginx")
    plain, tls, upstream = free_port(), free_port(), free_port()
    configuration = nginx_configuration(tmp_path, plain, tls, upstream)
    trust = tls_context(tmp_path)
    with (
        serving(
            *("--port", str(upstream), "--data", str(tmp_path / "data")),
            *("--trusted-proxy", "127.0.0.1", "--guests"),
        ),
        proxy(nginx, configuration, tls),
    ):
        base = f"https://localhost:{tls}"
        status = await asyncio.to_thread(fetch, f"{base}/api/status", trust)
        assert json.loads(status[1])["status"] == "online"
        assert (await asyncio.to_thread(fetch, f"{base}/metrics", trust))[0] == 404
        origin = {"Origin": base}
        uri = f"wss://localhost:{tls}/ws"
        async with (
            connect(uri, ssl=trust, proxy=None, additional_headers=origin) as alice,
            connect(uri, ssl=trust, proxy=None, additional_headers=origin) as bob,
        ):
            for one, name in ((alice, "Alice"), (bob, "Bob")):
                assert "Welcome" in str(await one.recv())
                await one.send(f"/name {name}")
                assert await one.recv() == f"You are now known as {name}"
            assert await alice.recv() == "Bob joined the chat"
            await alice.send("hello")
            assert await bob.recv() == "Alice: hello"


def tls_context(folder: Path) -> ssl.SSLContext:
    """Return a context that trusts the certificate in a folder alone."""
    context = ssl.create_default_context(cafile=str(folder / "server.pem"))
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def fetch(url: str, context: ssl.SSLContext) -> tuple[int, bytes]:
    """GET a page; return status and body."""
    try:
        with urllib.request.urlopen(url, timeout=WAIT_S, context=context) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@contextmanager
def proxy(nginx: str, configuration: Path, port: int) -> Iterator[None]:
    """Run nginx until the block ends."""
    process = subprocess.Popen(
        [nginx, "-c", str(configuration)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        while process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
                break
            except OSError:
                continue
        assert process.poll() is None, process.communicate()[0].decode()
        yield
    finally:
        process.terminate()
        process.communicate(timeout=WAIT_S)
