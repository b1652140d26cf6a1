"""The request that opens a connection, the answers to it, and the Origin rules.

Pure values: a `Request` keeps the raw head and parses it on use; `Response` and `Accept` are
checked when they are made, so that nothing an application sets can break the framing of HTTP.
Whether a head is valid was decided before, by an engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from ipaddress import IPv6Address
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote_to_bytes

__all__ = ["Accept", "ClientInfo", "Headers", "Origins", "Request", "Response"]

HeaderPairs = Mapping[str, str] | Iterable[tuple[str, str]]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 §5.6.2
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # a tab is allowed inside a value (§5.5)

# Fields that frame the message or belong to the handshake: the engine sets them.
_RESERVED_FIELDS = frozenset(
    {
        "connection",
        "content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_RESERVED_PREFIX = "sec-websocket-"
_BODYLESS = frozenset({204, 205, 304})  # RFC 9110 §15: these carry no content


class ClientInfo(NamedTuple):
    """Address of a peer.

    `str()` gives "host:port", "[v6 host]:port", or the path of a Unix socket.
    """

    host: str
    """IP address, or the path of a Unix socket (often "", as clients rarely bind one)."""
    port: int | None = None
    """TCP port; None for a Unix socket."""

    def __str__(self) -> str:
        if self.port is None:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Headers(Mapping[str, str]):
    """Header fields in the order of arrival; names are case-insensitive.

    As a mapping it shows the first value of each name; `getlist` and `pairs` show all. Values
    are decoded as Latin-1, which loses no byte.
    """

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._pairs = tuple((name.lower(), value) for name, value in pairs)

    def __getitem__(self, name: str) -> str:
        wanted = name.lower()
        for found, value in self._pairs:
            if found == wanted:
                return value
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._pairs))

    def __len__(self) -> int:
        return len(dict(self._pairs))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and any(name.lower() == found for found, _ in self._pairs)

    def getlist(self, name: str) -> list[str]:
        """Return every value of `name`, in the order of arrival; [] if there is none."""
        wanted = name.lower()
        return [value for found, value in self._pairs if found == wanted]

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Return all fields as `(name in lower case, value)`, repeated names included."""
        return self._pairs

    def __repr__(self) -> str:
        return f"Headers({list(dict(self._pairs))})"  # names only: values may be secrets


_NO_PARAMS: Mapping[str, str] = MappingProxyType({})


class Request:
    """The upgrade request, or a plain HTTP request on a WebSocket port.

    Only the raw head is kept, since many connections never look at it; each property parses it
    anew. Keep what you use often, for example in `handle.data`.
    """

    __slots__ = ("_client", "_head", "_path_params", "_secure", "_upgrade")

    _client: tuple[str, int] | str
    _head: bytes
    _path_params: Mapping[str, Any]
    _secure: bool
    _upgrade: bool | None

    def __init__(self) -> None:
        raise TypeError("use Request.from_head or Request.from_scope")

    @classmethod
    def from_head(cls, head: bytes, client: tuple[str, int] | str, secure: bool) -> Request:
        """Wrap a valid request head.

        Args:
            head: request line and fields, the empty line included or not; lines end in CRLF.
            client: `(host, port)`, or the path of a Unix socket.
            secure: whether it came over TLS, ours or a trusted proxy's.
        """
        request = object.__new__(cls)
        request._head = head
        request._client = client
        request._secure = secure
        request._upgrade = None
        request._path_params = _NO_PARAMS
        return request

    def _routed(
        self, params: Mapping[str, Any], client: tuple[str, int] | str, secure: bool
    ) -> Request:
        """Return the request as a host server that knows more about it sees it.

        Args:
            params: what the path's template took from it, see `path_params`.
            client: the client behind a trusted proxy.
            secure: whether that client came over TLS.
        """
        request = self.from_head(self._head, client, secure)
        request._path_params = params
        return request

    @classmethod
    def from_scope(cls, scope: Mapping[str, Any]) -> Request:
        """Rebuild the request from an ASGI connection scope of type "http" or "websocket".

        The host server has parsed it already, so fields are as it reports them: names in lower
        case, without `Connection` and `Upgrade` over HTTP/2, on some without the key.
        """
        target = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogateescape")
        query = scope.get("query_string", b"")
        if query and b"?" not in target:
            target = b"%b?%b" % (target, query)
        method = scope.get("method", "GET").encode("latin-1", "replace")
        version = scope.get("http_version", "1.1").encode("latin-1", "replace")
        lines = [b"%b %b HTTP/%b" % (method, _one_line(target).replace(b" ", b"%20"), version)]
        lines += [
            b"%b: %b" % (_one_line(bytes(name)), _one_line(bytes(value)))
            for name, value in scope.get("headers", ())
        ]
        offered = [str(name) for name in scope.get("subprotocols") or ()]
        if offered and all(name != b"sec-websocket-protocol" for name, _ in scope["headers"]):
            value = ", ".join(offered).encode("latin-1", "replace")  # some hosts take it out
            lines.append(b"sec-websocket-protocol: %b" % _one_line(value))
        host, port = scope.get("client") or ("", None)
        secure = scope.get("scheme", "") in ("https", "wss")
        client = str(host) if port is None else (str(host), int(port))
        request = cls.from_head(b"\r\n".join(lines), client, secure)
        request._upgrade = scope["type"] == "websocket" or None
        request._path_params = scope.get("path_params") or _NO_PARAMS
        return request

    # The request line

    def _line(self) -> list[str]:
        return self._head.partition(b"\r\n")[0].decode("latin-1").split(" ")

    @property
    def method(self) -> str:
        """The method: GET for every upgrade, anything for a plain request."""
        return self._line()[0]

    @property
    def target(self) -> str:
        """The request target as sent: path and query, percent-encoding untouched."""
        return " ".join(self._line()[1:-1])

    @property
    def http_version(self) -> str:
        """For example "1.1"."""
        return self._line()[-1].removeprefix("HTTP/")

    @property
    def path(self) -> str:
        """The path, percent-decoded; bytes that are no UTF-8 become U+FFFD."""
        path = self._origin_form().partition("?")[0]
        return unquote_to_bytes(path.encode("latin-1")).decode("utf-8", "replace")

    @property
    def path_params(self) -> Mapping[str, Any]:
        """What the pattern of a mounted path matched, as in `use_wynd("/rooms/{room}", …)`."""
        return self._path_params

    @property
    def query(self) -> str:
        """What follows the first "?", as sent; "" if nothing does."""
        return self._origin_form().partition("?")[2]

    @property
    def query_params(self) -> dict[str, list[str]]:
        """The query as a form: every value of each name, decoded; blank values are kept."""
        return parse_qs(self.query, keep_blank_values=True)

    def _origin_form(self) -> str:
        target = self.target
        if target.startswith("/") or "://" not in target:
            return target
        rest = target.partition("://")[2]  # absolute-form (RFC 9112 §3.2.2)
        start = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
        return rest[start:] if rest[start:].startswith("/") else "/" + rest[start:]

    # The fields

    @property
    def headers(self) -> Headers:
        """The header fields."""
        return Headers(self._pairs())

    def _pairs(self) -> Iterator[tuple[str, str]]:
        for line in self._head.decode("latin-1").split("\r\n")[1:]:
            name, colon, value = line.partition(":")
            if colon:
                yield name.lower(), value.strip(" \t")

    def _values(self, wanted: str) -> list[str]:
        return [value for name, value in self._pairs() if name == wanted]

    def _tokens(self, wanted: str) -> list[str]:
        parts = ",".join(self._values(wanted)).split(",")
        return [part.strip(" \t") for part in parts if part.strip(" \t")]

    @property
    def host(self) -> str:
        """The `Host` field, "" if there is none."""
        return next(iter(self._values("host")), "")

    @property
    def origin(self) -> str | None:
        """The `Origin` field; None where it is absent, as with most clients but browsers."""
        return next(iter(self._values("origin")), None)

    @property
    def cookies(self) -> dict[str, str]:
        """Cookies by name; of a repeated name the first, which has the longest path."""
        found: dict[str, str] = {}
        for value in self._values("cookie"):
            for part in value.split(";"):
                name, equals, content = part.strip(" \t").partition("=")
                content = content.strip(" \t")
                if len(content) >= 2 and content[0] == content[-1] == '"':
                    content = content[1:-1]
                if equals and name:
                    found.setdefault(name.rstrip(" \t"), content)
        return found

    @property
    def subprotocols(self) -> tuple[str, ...]:
        """The subprotocols the client offers, its favourite first."""
        return tuple(self._tokens("sec-websocket-protocol"))

    @property
    def is_upgrade(self) -> bool:
        """Whether this asks for a WebSocket (RFC 6455 §4.2.1), and is no plain HTTP request."""
        if self._upgrade is not None:
            return self._upgrade
        asks = {token.lower() for token in self._tokens("connection")}
        return "upgrade" in asks and "websocket" in {
            token.lower() for token in self._tokens("upgrade")
        }

    # The connection

    @property
    def client(self) -> ClientInfo:
        """The peer's address."""
        if isinstance(self._client, str):
            return ClientInfo(self._client)
        return ClientInfo(*self._client)

    @property
    def secure(self) -> bool:
        """Whether it came over TLS, ours or a trusted proxy's."""
        return self._secure

    def __repr__(self) -> str:
        path = self._origin_form().partition("?")[0]  # no query: tokens travel there
        return f"<Request {self.method} {ascii(path)[1:-1]} from {self.client}>"


def _one_line(value: bytes) -> bytes:
    """Return `value` without what could start a new line, whatever a host server let through."""
    return value.replace(b"\r", b"").replace(b"\n", b"")


def _checked_headers(headers: Any, allowed: str = "") -> tuple[tuple[str, str], ...]:
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    if isinstance(pairs, (str, bytes)) or not isinstance(pairs, Iterable):
        raise TypeError("headers must be a mapping or (name, value) pairs")
    return tuple(_checked_header(pair, allowed) for pair in pairs)


def _checked_header(pair: Any, allowed: str) -> tuple[str, str]:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise TypeError(f"headers must be a mapping or (name, value) pairs, not {pair!r}")
    name, value = pair
    if not isinstance(name, str) or not isinstance(value, str):
        raise TypeError(f"header {name!r} must have a str as name and value")
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"header name {name!r} is no token; use letters, digits and hyphens")
    lower = name.lower()
    is_reserved = lower in _RESERVED_FIELDS or lower.startswith(_RESERVED_PREFIX)
    if is_reserved and lower != allowed:
        raise ValueError(f"header {name} is set by the library; leave it out")
    if _CONTROLS.search(value):
        raise ValueError(f"header {name} holds a control character; encode or remove it")
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError(f"header {name} is not Latin-1; percent-encode its value") from None
    return name, value.strip(" \t")


def _check_type(name: str, value: object, *wanted: type) -> None:
    if not isinstance(value, wanted) or isinstance(value, bool):
        kinds = " or ".join(kind.__name__ for kind in wanted)
        raise TypeError(f"{name} must be {kinds}, not {type(value).__name__}")


class Response:
    """A plain HTTP answer, which also refuses an upgrade.

    A str body is sent as UTF-8. `Content-Type` is `text/plain; charset=utf-8` for str and
    `application/octet-stream` for bytes unless `headers` say otherwise; `Content-Length` and
    `Connection` are the library's.

    Raises:
        TypeError: an argument of the wrong type.
        ValueError: a status outside 200-599, a body with a status that has none, or a header
            that is no valid field, holds controls, or belongs to the handshake or the framing.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(
        self, body: str | bytes = b"", status: int = 200, headers: HeaderPairs = ()
    ) -> None:
        _check_type("body", body, str, bytes)
        _check_type("status", status, int)
        if not 200 <= status <= 599:
            raise ValueError(f"status must be 200 to 599, not {status}")
        if body and status in _BODYLESS:
            raise ValueError(f"a response with status {status} has no body; leave it out")
        checked = _checked_headers(headers, "upgrade" if status == 426 else "")  # RFC 9110 §15.5.22
        if body and all(name.lower() != "content-type" for name, _ in checked):
            is_text = isinstance(body, str)
            kind = "text/plain; charset=utf-8" if is_text else "application/octet-stream"
            checked += (("content-type", kind),)
        self.body: bytes = body.encode("utf-8") if isinstance(body, str) else body
        self.status: int = int(status)
        self.headers: tuple[tuple[str, str], ...] = checked

    def __repr__(self) -> str:
        return f"<Response {self.status}, {len(self.body)} bytes>"


class Accept:
    """Lets an upgrade through, with header fields of the application's own.

    `subprotocol` must be one the client offered; None leaves the choice to the library, which
    takes the client's first that `Wynd(subprotocols=...)` names.

    Raises:
        TypeError: an argument of the wrong type.
        ValueError: a subprotocol that is no token, or a header as in `Response`.
    """

    __slots__ = ("headers", "subprotocol")

    def __init__(self, headers: HeaderPairs = (), subprotocol: str | None = None) -> None:
        if subprotocol is not None:
            _check_type("subprotocol", subprotocol, str)
            if not _TOKEN.fullmatch(subprotocol):
                raise ValueError(f"subprotocol {subprotocol!r} is no token")
        self.headers: tuple[tuple[str, str], ...] = _checked_headers(headers)
        self.subprotocol: str | None = subprotocol

    def __repr__(self) -> str:
        return f"<Accept, subprotocol={self.subprotocol!r}>"


# Origins (RFC 6454). Both engines judge by these rules; the native one has them in Rust.

_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.\-]*)://"
    r"(?P<host>(?:\*\.)?[a-z0-9_](?:[a-z0-9_.\-]*[a-z0-9_.])?|\[[0-9a-f.]*:[0-9a-f:.]*\])"
    r"(?::(?P<port>0|[1-9][0-9]{0,4}))?"
)
_HOST = re.compile(
    r"(?P<host>[a-z0-9_](?:[a-z0-9_.\-]*[a-z0-9_.])?|\[[0-9a-f:.]+\])"
    r"(?P<colon>:0*(?P<port>[0-9]{0,5}))?"  # RFC 3986 §3.2.3 allows zeros, and none at all
)
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_PORT_MAX = 65535


class _Origin(NamedTuple):
    """An origin; `host` starts with "*." in rules for subdomains, `port` None if there is none."""

    scheme: str
    host: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> _Origin | None:
        """Return the parts, the default port filled in; None if `text` is no origin."""
        match = _ORIGIN.fullmatch(text.lower()) if text.isascii() else None
        if match is None or ".." in match["host"]:
            return None
        scheme, port = match["scheme"], match["port"]
        number = _DEFAULT_PORTS.get(scheme) if port is None else int(port)
        if number is not None and number > _PORT_MAX:
            return None
        return cls(scheme, match["host"], number)

    def matches(self, origin: _Origin) -> bool:
        """Return whether this rule lets `origin` pass; `*.` stands for one or more labels."""
        if (self.scheme, self.port) != (origin.scheme, origin.port):
            return False
        if not self.host.startswith("*."):
            return self.host == origin.host
        suffix = self.host[1:]
        return origin.host.endswith(suffix) and len(origin.host) > len(suffix)


class Origins:
    """Which pages of which origin may connect from a browser.

    Without this check any page a user visits could connect with that user's cookies.
    `"same-host"`: host and port of `Origin` equal `Host`; an `https` origin passes, an `http` one
    only if the request did not come over TLS. `"*"`: any. Else a sequence of
    `scheme://host[:port]`, where `https://*.example.org` stands for every name below
    `example.org`, not for that name itself. A request without `Origin` passes: it is no browser's.
    """

    __slots__ = ("_list", "rules")

    def __init__(self, rules: str | tuple[str, ...], parsed: tuple[_Origin, ...]) -> None:
        self.rules: str | tuple[str, ...] = rules
        """The string "same-host" or "*", or the list in lower case."""
        self._list = parsed

    @classmethod
    def parse(cls, value: str | Sequence[str]) -> Origins:
        """Check what `Wynd(origins=...)` was given.

        Raises:
            TypeError: neither a str nor a sequence of str.
            ValueError: no origin, with what to write instead.
        """
        if isinstance(value, str):
            if value in ("same-host", "*"):
                return cls(value, ())
            raise ValueError(
                f'origins must be "same-host", "*" or a list such as ["https://example.org"], '
                f"not {value!r}"
            )
        _check_type("origins", value, str, Sequence, Set)
        rules = tuple(value)
        parsed = tuple(_parse_rule(rule) for rule in rules)
        return cls(tuple(rule.lower() for rule in rules), parsed)

    def allows(self, origin: str | None, host: str, secure: bool) -> bool:
        """Return whether a request with these `Origin` and `Host` fields may connect.

        Args:
            origin: the `Origin` field, None if absent.
            host: the `Host` field.
            secure: whether the request came over TLS.
        """
        if origin is None or self.rules == "*":
            return True
        parsed = _Origin.parse(origin)
        if parsed is None or parsed.host.startswith("*"):
            return False  # "null" too: sandboxed pages and files of anybody send it
        if self.rules == "same-host":
            return _is_same_host(parsed, host, secure)
        return any(rule.matches(parsed) for rule in self._list)

    def __repr__(self) -> str:
        return f"Origins({self.rules!r})"


def _is_same_host(origin: _Origin, host: str, secure: bool) -> bool:
    if origin.scheme not in ("http", "https") or (origin.scheme == "http" and secure):
        return False
    match = _HOST.fullmatch(host.lower()) if host.isascii() else None
    if match is None:
        return False
    # Behind a proxy that ends TLS the Host has no port and the page is https: its default counts.
    is_default = match["colon"] in (None, ":")
    port = _DEFAULT_PORTS[origin.scheme] if is_default else int(match["port"] or 0)
    return (origin.host, origin.port) == (match["host"], port)


def _parse_rule(rule: object) -> _Origin:
    if not isinstance(rule, str):  # also the ints of a bytes
        raise TypeError(f"an origin must be a str, not {type(rule).__name__}")
    parsed = _Origin.parse(rule)
    if parsed is None:
        raise ValueError(f"{rule!r} is no origin; {_remedy(rule)}")
    if parsed.host.startswith("["):
        try:
            canonical = f"[{IPv6Address(parsed.host[1:-1]).compressed}]"
        except ValueError:
            raise ValueError(f"{rule!r} holds no valid IPv6 address") from None
        if canonical != parsed.host:
            raise ValueError(f"{rule!r} never matches; browsers write the host as {canonical}")
    return parsed


def _remedy(rule: str) -> str:
    if rule in ("null", "*", "same-host"):
        return 'a list takes only "scheme://host[:port]"'
    if not rule.isascii():
        return 'write the host in its ASCII form ("xn--...")'
    if "://" not in rule:
        return f'write it with its scheme, such as "https://{rule}"'
    if "*" in rule:
        return 'a "*" may only be the whole first label, as in "https://*.example.org"'
    return 'write "scheme://host[:port]" without path, query, user or trailing slash'
