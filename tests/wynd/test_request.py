"""Requests, responses and origins: values only, no sockets."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wynd.request import Accept, ClientInfo, Headers, Origins, Request, Response

HEAD = (
    b"GET /r%C3%BCbe%20x?a=1&b=&a=%2B HTTP/1.1\r\n"
    b"Host: example.org:8080\r\n"
    b"connection: keep-alive, Upgrade\r\n"
    b"UPGRADE: WebSocket\r\n"
    b"Origin:  https://example.org \r\n"
    b"Sec-WebSocket-Protocol: chat.v2,\tchat.v1\r\n"
    b"Sec-WebSocket-Protocol: soap\r\n"
    b'Cookie: sid=a=b; empty=; quoted="x y"; sid=second\r\n'
    b"Cookie: other=1\r\n"
    b"X-Latin: \xe9\r\n"
    b"\r\n"
)


def from_head(head: bytes = HEAD, **options: Any) -> Request:
    options = {"client": ("192.0.2.1", 5000), "secure": False, **options}
    return Request.from_head(head, **options)


class TestRequest:
    def test_the_request_line_is_parsed(self) -> None:
        request = from_head()
        assert request.method == "GET"
        assert request.target == "/r%C3%BCbe%20x?a=1&b=&a=%2B"
        assert request.path == "/rübe x"
        assert request.query == "a=1&b=&a=%2B"
        assert request.query_params == {"a": ["1", "+"], "b": [""]}
        assert request.http_version == "1.1"

    @pytest.mark.parametrize(
        ("target", "path", "query"),
        [
            (b"/", "/", ""),
            (b"/?", "/", ""),
            (b"/a?b?c", "/a", "b?c"),
            (b"*", "*", ""),
            (b"http://example.org/a?b", "/a", "b"),
            (b"http://example.org", "/", ""),
            (b"http://example.org?x=/", "/", "x=/"),
            (b"/a://b?c", "/a://b", "c"),
            (b"/%ff%41", "/\ufffdA", ""),
            (b"/%zz", "/%zz", ""),
            (b"/\xc3\xbc", "/ü", ""),
        ],
    )
    def test_targets_of_every_form(self, target: bytes, path: str, query: str) -> None:
        request = from_head(b"GET %b HTTP/1.1\r\n\r\n" % target)
        assert (request.path, request.query) == (path, query)

    def test_the_fields_are_parsed(self) -> None:
        request = from_head()
        assert request.host == "example.org:8080"
        assert request.origin == "https://example.org"
        assert request.subprotocols == ("chat.v2", "chat.v1", "soap")
        assert request.cookies == {"sid": "a=b", "empty": "", "quoted": "x y", "other": "1"}
        assert request.headers["x-latin"] == "é"

    def test_absent_fields_are_empty(self) -> None:
        request = from_head(b"POST / HTTP/1.0\r\n\r\n")
        assert (request.host, request.origin) == ("", None)
        assert (request.subprotocols, request.cookies) == ((), {})
        assert not request.is_upgrade

    @pytest.mark.parametrize(
        ("connection", "upgrade", "expected"),
        [
            ("Upgrade", "websocket", True),
            ("keep-alive, Upgrade", "WebSocket", True),
            ("upgrade", "h2c, websocket", True),
            ("notupgrade", "websocket", False),
            ("keep-alive", "websocket", False),
            ("Upgrade", "notwebsocket", False),
            ("Upgrade", "", False),
        ],
    )
    def test_an_upgrade_is_recognised(self, connection: str, upgrade: str, expected: bool) -> None:
        head = f"GET / HTTP/1.1\r\nConnection: {connection}\r\nUpgrade: {upgrade}\r\n\r\n"
        assert from_head(head.encode()).is_upgrade is expected

    def test_the_client_and_the_transport_are_kept(self) -> None:
        assert from_head(client=("::1", 9), secure=True).client == ClientInfo("::1", 9)
        assert from_head(secure=True).secure
        assert from_head(client="/run/x.sock").client == ClientInfo("/run/x.sock")

    def test_only_the_raw_head_is_kept(self) -> None:
        assert not hasattr(from_head(), "__dict__")
        assert Request.__slots__ == ("_client", "_head", "_path_params", "_secure", "_upgrade")

    def test_a_host_server_may_know_more(self) -> None:
        head = b"GET /chat/7 HTTP/1.1\r\nHost: a\r\n\r\n"
        plain = from_head(head)
        routed = plain._routed({"room": "7"}, ("198.51.100.7", 0), True)
        assert (dict(plain.path_params), dict(routed.path_params)) == ({}, {"room": "7"})
        assert (routed.path, routed.client.host, routed.secure) == ("/chat/7", "198.51.100.7", True)

    def test_the_repr_shows_no_query_and_no_control_bytes(self) -> None:
        text = repr(from_head(b"GET /a%1b%0d?token=secret HTTP/1.1\r\n\r\n"))
        assert text == "<Request GET /a%1b%0d from 192.0.2.1:5000>"
        assert "\x1b" not in repr(from_head(b"GET /\x1b[2J HTTP/1.1\r\n\r\n"))

    def test_it_is_made_by_its_constructors_only(self) -> None:
        with pytest.raises(TypeError, match="from_head"):
            Request()

    @given(st.binary(max_size=300))
    def test_no_bytes_make_it_raise(self, head: bytes) -> None:
        request = from_head(head)
        for name in dir(request):
            if not name.startswith("_") and name not in ("from_head", "from_scope"):
                getattr(request, name)
        repr(request)


class TestRequestFromScope:
    SCOPE: dict[str, Any] = {  # noqa: RUF012 # read only
        "type": "websocket",
        "http_version": "1.1",
        "scheme": "wss",
        "path": "/rübe x",
        "raw_path": b"/r%C3%BCbe%20x",
        "query_string": b"a=1",
        "headers": [(b"host", b"example.org"), (b"origin", b"https://example.org")],
        "client": ("192.0.2.1", 5000),
        "subprotocols": ["a", "b"],
    }

    def test_it_says_what_the_scope_says(self) -> None:
        request = Request.from_scope(self.SCOPE)
        assert request.method == "GET"
        assert request.path == "/rübe x"
        assert request.target == "/r%C3%BCbe%20x?a=1"
        assert request.headers["Host"] == "example.org"
        assert request.client == ClientInfo("192.0.2.1", 5000)
        assert request.subprotocols == ("a", "b")
        assert request.secure
        assert request.is_upgrade

    def test_a_plain_request_is_no_upgrade(self) -> None:
        scope = {**self.SCOPE, "type": "http", "method": "POST", "scheme": "http"}
        request = Request.from_scope(scope)
        assert (request.method, request.secure, request.is_upgrade) == ("POST", False, False)

    def test_hosts_may_leave_things_out(self) -> None:
        request = Request.from_scope(
            {"type": "websocket", "path": "/ü b", "headers": [], "client": None}
        )
        assert request.path == "/ü b"
        assert request.target == "/Ã¼%20b"
        assert request.client == ClientInfo("")
        assert request.query == ""

    def test_no_field_of_a_scope_forges_another(self) -> None:
        scope = {
            **self.SCOPE,
            "raw_path": b"/a HTTP/1.1\r\nOrigin: https://evil.example\r\nX: ",
            "headers": [(b"x", b"1\r\norigin: https://evil.example")],
        }
        request = Request.from_scope(scope)
        assert request.origin is None
        assert list(request.headers) == ["x", "sec-websocket-protocol"]


class TestHeaders:
    HEADERS = Headers([("Accept", "a"), ("X-One", "1"), ("accept", "b")])

    def test_names_are_case_insensitive_and_the_first_value_counts(self) -> None:
        assert self.HEADERS["ACCEPT"] == "a"
        assert self.HEADERS.get("missing") is None
        assert "x-one" in self.HEADERS
        assert 7 not in self.HEADERS  # type: ignore[comparison-overlap] # no name at all
        with pytest.raises(KeyError):
            self.HEADERS["missing"]

    def test_every_value_is_there(self) -> None:
        assert self.HEADERS.getlist("Accept") == ["a", "b"]
        assert self.HEADERS.getlist("missing") == []
        assert self.HEADERS.pairs() == (("accept", "a"), ("x-one", "1"), ("accept", "b"))

    def test_it_is_a_mapping(self) -> None:
        assert dict(self.HEADERS) == {"accept": "a", "x-one": "1"}
        assert len(self.HEADERS) == 2
        assert "a" not in repr(Headers([("n", "secret")])).replace("Headers", "")


class TestClientInfo:
    @pytest.mark.parametrize(
        ("client", "text"),
        [
            (ClientInfo("192.0.2.1", 80), "192.0.2.1:80"),
            (ClientInfo("2001:db8::1", 80), "[2001:db8::1]:80"),
            (ClientInfo("/run/x.sock"), "/run/x.sock"),
            (ClientInfo(""), ""),
        ],
    )
    def test_its_text_is_the_usual_one(self, client: ClientInfo, text: str) -> None:
        assert str(client) == text


BAD_HEADERS: list[tuple[Any, type[Exception]]] = [
    ({"X\r\nSet-Cookie": "a"}, ValueError),
    ({"X Y": "a"}, ValueError),
    ({"X:": "a"}, ValueError),
    ({"": "a"}, ValueError),
    ({"Ü": "a"}, ValueError),
    ({"X": "a\r\nSet-Cookie: b"}, ValueError),
    ({"X": "a\nb"}, ValueError),
    ({"X": "a\rb"}, ValueError),
    ({"X": "a\x00b"}, ValueError),
    ({"X": "a\x1bb"}, ValueError),
    ({"X": "a\x7fb"}, ValueError),
    ({"X": "世"}, ValueError),
    ({"Connection": "close"}, ValueError),
    ({"content-length": "1"}, ValueError),
    ({"Transfer-Encoding": "chunked"}, ValueError),
    ({"Upgrade": "websocket"}, ValueError),
    ({"TE": "x"}, ValueError),
    ({"Trailer": "x"}, ValueError),
    ({"Keep-Alive": "x"}, ValueError),
    ({"Proxy-Connection": "x"}, ValueError),
    ({"Sec-WebSocket-Accept": "x"}, ValueError),
    ({"sec-websocket-protocol": "x"}, ValueError),
    ({"Sec-WebSocket-Extensions": "x"}, ValueError),
    ({"X": 1}, TypeError),
    ({b"X": "a"}, TypeError),
    ("X: a", TypeError),
    (7, TypeError),
    (["X: a"], TypeError),
    ([("X", "a", "b")], TypeError),
]


class TestAnswers:
    @pytest.mark.parametrize(("headers", "error"), BAD_HEADERS)
    def test_what_could_break_the_framing_is_refused(
        self, headers: Any, error: type[Exception]
    ) -> None:
        with pytest.raises(error):
            Response(headers=headers)
        with pytest.raises(error):
            Accept(headers=headers)

    def test_good_headers_are_kept_in_order(self) -> None:
        pairs = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X", " a\tb é ")]
        expected = (("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X", "a\tb é"))
        assert Accept(pairs).headers == expected
        assert Response(headers=pairs).headers == expected

    def test_a_body_gets_its_type(self) -> None:
        assert Response("ü").body == "ü".encode()
        assert Response("x").headers == (("content-type", "text/plain; charset=utf-8"),)
        assert Response(b"x").headers == (("content-type", "application/octet-stream"),)
        assert Response("{}", headers={"Content-Type": "application/json"}).headers == (
            ("Content-Type", "application/json"),
        )
        assert Response().headers == ()

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ({"body": 7}, TypeError),
            ({"body": None}, TypeError),
            ({"status": "200"}, TypeError),
            ({"status": True}, TypeError),
            ({"status": 101}, ValueError),
            ({"status": 199}, ValueError),
            ({"status": 600}, ValueError),
            ({"status": 204, "body": "x"}, ValueError),
        ],
    )
    def test_a_wrong_response_is_refused(
        self, arguments: dict[str, Any], error: type[Exception]
    ) -> None:
        with pytest.raises(error):
            Response(**arguments)

    def test_only_426_names_what_to_upgrade_to(self) -> None:
        assert Response(status=426, headers={"Upgrade": "websocket"}).status == 426
        with pytest.raises(ValueError, match="Upgrade"):
            Response(status=400, headers={"Upgrade": "websocket"})

    @pytest.mark.parametrize(
        ("subprotocol", "error"),
        [
            ("", ValueError),
            ("a b", ValueError),
            ("a,b", ValueError),
            ("ü", ValueError),
            (7, TypeError),
        ],
    )
    def test_a_wrong_subprotocol_is_refused(self, subprotocol: Any, error: type[Exception]) -> None:
        with pytest.raises(error):
            Accept(subprotocol=subprotocol)

    def test_reprs_show_no_values(self) -> None:
        assert repr(Response("secret", 403)) == "<Response 403, 6 bytes>"
        assert repr(Accept({"X": "secret"}, "chat")) == "<Accept, subprotocol='chat'>"


H = "example.org"
SUB = ["https://*.example.org"]
# rules, Origin, Host, over TLS, allowed: scorecard row 34
ORIGINS: list[tuple[Any, str | None, str, bool, bool]] = [
    # the same host
    ("same-host", None, H, False, True),
    ("same-host", None, H, True, True),
    ("same-host", "http://example.org", H, False, True),
    ("same-host", "http://example.org", H, True, False),
    ("same-host", "https://example.org", H, True, True),
    ("same-host", "https://example.org", H, False, True),
    ("same-host", "HTTPS://EXAMPLE.ORG", H, True, True),
    ("same-host", "https://example.org", "EXAMPLE.org", True, True),
    ("same-host", "https://example.org:443", H, True, True),
    ("same-host", "https://example.org", "example.org:443", True, True),
    ("same-host", "http://example.org:80", H, False, True),
    ("same-host", "http://example.org", "example.org:80", False, True),
    ("same-host", "http://example.org:8080", "example.org:8080", False, True),
    ("same-host", "https://[::1]:8080", "[::1]:8080", True, True),
    ("same-host", "http://127.0.0.1:8080", "127.0.0.1:8080", False, True),
    ("same-host", "http://xn--bcher-kva.example", "xn--bcher-kva.example", False, True),
    # … and what only looks like it
    ("same-host", "null", H, False, False),
    ("same-host", "", H, False, False),
    ("same-host", "http://example.org:8080", H, False, False),
    ("same-host", "http://example.org", "example.org:8080", False, False),
    ("same-host", "http://example.org:443", H, False, False),
    ("same-host", "http://example.org:0", "example.org", False, False),
    ("same-host", "http://example.org", "example.org:0", False, False),
    ("same-host", "http://example.org", "example.org:" + "9" * 5000, False, False),
    ("same-host", "https://example.org:80", "example.org:443", True, False),
    ("same-host", "https://example.org.evil.example", H, True, False),
    ("same-host", "https://evilexample.org", H, True, False),
    ("same-host", "https://a.example.org", H, True, False),
    ("same-host", "https://example.org.", H, True, False),
    ("same-host", "https://example.org@evil.example", H, True, False),
    ("same-host", "https://evil.example@example.org", H, True, False),
    ("same-host", "https://example.org/", H, True, False),
    ("same-host", "https://example.org/path", H, True, False),
    ("same-host", "https://example.org?x", H, True, False),
    ("same-host", "https://example.org#x", H, True, False),
    ("same-host", "https://example.org\\.evil.example", H, True, False),
    ("same-host", "https://example.org https://evil.example", H, True, False),
    ("same-host", "https://example.org,https://evil.example", H, True, False),
    ("same-host", " https://example.org", H, True, False),
    ("same-host", "https://example.org\t", H, True, False),
    ("same-host", "https://example.org\n", H, True, False),
    ("same-host", "https://example.org:", H, True, False),
    ("same-host", "https://example.org:0443", H, True, False),
    ("same-host", "https://example.org:00", "example.org:0", True, False),
    ("same-host", "https://example.org:65979", H, True, False),
    ("same-host", "https://[abc]", "[abc]", True, False),
    ("same-host", "https://example-", "example-", True, False),
    ("same-host", "https://example..org", "example..org", True, False),
    ("same-host", "https://example.org:443:443", H, True, False),
    ("same-host", "https://exämple.org", H, True, False),
    ("same-host", "https://\u212aexample.org", "kexample.org", True, False),
    ("same-host", "https:example.org", H, True, False),
    ("same-host", "https:///example.org", H, True, False),
    ("same-host", "//example.org", H, True, False),
    ("same-host", "example.org", H, True, False),
    ("same-host", "ftp://example.org", H, True, False),
    ("same-host", "ws://example.org", H, False, False),
    ("same-host", "file://", H, False, False),
    ("same-host", "https://*.org", H, True, False),
    ("same-host", "https://example.org", "", True, False),
    ("same-host", "https://example.org", "example.org:x", True, False),
    ("same-host", "https://example.org", "user@example.org", True, False),
    ("same-host", "https://example.org", "example.org/", True, False),
    ("same-host", "http://example.org", "example.org:", False, True),  # RFC 3986 §3.2.3
    ("same-host", "http://example.org", "example.org:0080", False, True),
    ("same-host", "http://example.org:0", "example.org:0", False, True),
    # lists
    (["https://example.org"], "https://example.org", "api.example.net", True, True),
    (["https://example.org"], "https://example.org:443", H, True, True),
    (["https://example.org:443"], "https://example.org", H, True, True),
    (["HTTPS://Example.ORG"], "https://example.org", H, True, True),
    (["https://example.org"], None, H, True, True),
    (["https://example.org"], "http://example.org", H, False, False),
    (["https://example.org"], "https://example.org:8443", H, True, False),
    (["https://example.org"], "https://api.example.net", "api.example.net", True, False),
    (["https://example.org"], "null", H, True, False),
    (["http://localhost:3000"], "http://localhost:3000", H, True, True),
    (["app://host"], "app://host", H, True, True),
    (["chrome-extension://abcdef"], "chrome-extension://abcdef", H, True, True),
    (["http://[::1]:3000"], "http://[::1]:3000", H, True, True),
    (["https://a.org", "https://b.org"], "https://b.org", H, True, True),
    ([], "https://example.org", H, True, False),
    ([], None, H, True, True),
    # wildcards match whole labels
    (SUB, "https://a.example.org", H, True, True),
    (SUB, "https://a.b.example.org", H, True, True),
    (SUB, "https://A.Example.Org", H, True, True),
    (SUB, "https://example.org", H, True, False),
    (SUB, "https://.example.org", H, True, False),
    (SUB, "https://aexample.org", H, True, False),
    (SUB, "https://a.example.org.evil.example", H, True, False),
    (SUB, "https://a.example.org:8443", H, True, False),
    (SUB, "http://a.example.org", H, False, False),
    (SUB, "https://*.example.org", H, True, False),
    (SUB, "https://evil.example/.example.org", H, True, False),
    (SUB, "https://evil.example?.example.org", H, True, False),
    (SUB, "https://evil.example#.example.org", H, True, False),
    (SUB, "https://evil.example\\.example.org", H, True, False),
    (SUB, "https://user@a.example.org", H, True, False),
    (SUB, "https://a..example.org", H, True, False),
    (["https://*.example.org:8443"], "https://a.example.org:8443", H, True, True),
    # any
    ("*", "https://evil.example", H, True, True),
    ("*", "null", H, True, True),
    ("*", None, H, True, True),
]


class TestOrigins:
    @pytest.mark.parametrize(("rules", "origin", "host", "secure", "allowed"), ORIGINS)
    def test_the_matrix(
        self, rules: Any, origin: str | None, host: str, secure: bool, allowed: bool
    ) -> None:
        assert Origins.parse(rules).allows(origin, host, secure) is allowed

    @pytest.mark.usefixtures("native_engine")
    @pytest.mark.parametrize(("rules", "origin", "host", "secure", "allowed"), ORIGINS)
    def test_the_native_engine_has_the_same_matrix(
        self, rules: Any, origin: str | None, host: str, secure: bool, allowed: bool
    ) -> None:
        from wynd._engine import is_origin_allowed

        sent = None if origin is None else origin.encode()
        assert is_origin_allowed(rules, sent, host, secure) is allowed

    @pytest.mark.parametrize(
        ("rules", "remedy"),
        [
            ("https://example.org", r"a list such as"),
            ("", r"a list such as"),
            (["example.org"], r'such as "https://example.org"'),
            (["https://example.org/"], "without path"),
            (["https://example.org/x"], "without path"),
            (["https://user@example.org"], "without path, query, user"),
            (["https://example.org:99999"], "without path"),
            (["*"], "a list takes only"),
            (["null"], "a list takes only"),
            (["same-host"], "a list takes only"),
            (["https://*"], "whole first label"),
            (["https://a*.example.org"], "whole first label"),
            (["https://a.*.example.org"], "whole first label"),
            (["https://*example.org"], "whole first label"),
            (["https://*.*.example.org"], "whole first label"),
            (["https://bücher.example"], "xn--"),
            (["https://[::1"], "without path"),
            (["http://[0:0:0:0:0:0:0:1]"], r"browsers write the host as \[::1\]"),
            (["http://[1:::2]"], "no valid IPv6"),
        ],
    )
    def test_wrong_rules_are_refused_with_a_remedy(self, rules: Any, remedy: str) -> None:
        with pytest.raises(ValueError, match=remedy):
            Origins.parse(rules)

    @pytest.mark.parametrize("rules", [None, 7, b"*", [7], [b"https://example.org"]])
    def test_wrong_types_are_refused(self, rules: Any) -> None:
        with pytest.raises(TypeError):
            Origins.parse(rules)

    def test_the_rules_are_plain_values(self) -> None:
        assert Origins.parse("same-host").rules == "same-host"
        assert Origins.parse("*").rules == "*"
        rules = Origins.parse(["HTTPS://Example.org", "http://[::1]:80"]).rules
        assert rules == ("https://example.org", "http://[::1]:80")
        assert repr(Origins.parse("*")) == "Origins('*')"

    @given(st.text(), st.text(max_size=20), st.booleans())
    def test_no_text_makes_it_raise_and_none_passes_by_chance(
        self, origin: str, host: str, secure: bool
    ) -> None:
        if Origins.parse("same-host").allows(origin, host, secure):
            assert origin.lower().endswith(host.lower().rpartition(":")[0] or host.lower())
        assert not Origins.parse(["https://*.example.org"]).allows(origin, host, secure)
