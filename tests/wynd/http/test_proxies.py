"""Which client a request comes from behind proxies."""

from __future__ import annotations

import pytest

from wynd.http.proxies import TrustedProxies
from wynd.request import Request


def request(client: tuple[str, int] | str, *fields: str) -> Request:
    head = "\r\n".join(["GET / HTTP/1.1", "Host: a", *fields, "", ""])
    return Request.from_head(head.encode(), client, False)


PROXY = ("10.0.0.1", 5)


@pytest.mark.parametrize(
    ("fields", "client"),
    [
        (["X-Forwarded-For: 198.51.100.7"], "198.51.100.7"),
        (["X-Forwarded-For: 6.6.6.6, 198.51.100.7"], "198.51.100.7"),
        (["X-Forwarded-For: 6.6.6.6, 198.51.100.7, 10.0.0.9"], "198.51.100.7"),
        (["X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 198.51.100.7,10.0.0.9"], "198.51.100.7"),
        (["X-Forwarded-For: 10.0.0.7"], "10.0.0.7"),
        (["X-Forwarded-For: unknown, 10.0.0.7"], "unknown"),
        (["X-Forwarded-For: ,"], "10.0.0.1"),
        ([], "10.0.0.1"),
    ],
)
def test_the_last_address_that_is_no_trusted_proxy_is_the_client(
    fields: list[str], client: str
) -> None:
    found, _ = TrustedProxies(["10.0.0.0/24"]).client_of(request(PROXY, *fields))
    assert found[0] == client


@pytest.mark.parametrize(("scheme", "secure"), [("https", True), ("wss", True), ("http", False)])
def test_the_scheme_says_whether_it_came_over_tls(scheme: str, secure: bool) -> None:
    proxies = TrustedProxies(["10.0.0.1"])
    assert proxies.client_of(request(PROXY, f"X-Forwarded-Proto: {scheme}"))[1] is secure
    assert TrustedProxies().client_of(request(PROXY, f"X-Forwarded-Proto: {scheme}"))[1] is False


def test_strangers_are_ignored_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    proxies = TrustedProxies(["10.0.0.2", "::1"])
    for _ in range(3):
        asked = request(PROXY, "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https")
        assert proxies.client_of(asked) == (PROXY, False)
    assert [record.getMessage() for record in caplog.records] == [
        "10.0.0.1 sends X-Forwarded-*, but is not in trusted_proxies: ignored"
    ]


def test_a_star_trusts_everybody_and_unix_sockets_too() -> None:
    proxies = TrustedProxies(["*"])
    asked = request("", "X-Forwarded-For: 1.2.3.4")
    assert proxies.client_of(asked)[0] == ("1.2.3.4", 0)
    assert TrustedProxies(["10.0.0.1"]).client_of(asked)[0] == ""


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        TrustedProxies(["proxy.example"])
