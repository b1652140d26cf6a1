"""`base_url_of`: links lead to where the chat was reached, or to where it is set to be."""

from __future__ import annotations

from starlette.requests import Request as PageRequest

from tests.wynd_chat.gateway.desk import a_request
from wynd_chat.gateway.addresses import base_url_of


def page_request(scheme: str = "http", host: str = "localhost:3000") -> PageRequest:
    """Return a request of a page."""
    headers = [(b"host", host.encode())]
    scope = {"type": "http", "scheme": scheme, "path": "/x", "headers": headers, "root_path": ""}
    return PageRequest({**scope, "query_string": b"", "server": ("127.0.0.1", 3000)})


def test_without_a_setting_the_request_says_where() -> None:
    base_url = base_url_of(None)
    assert base_url(a_request()) == "http://chat.example"
    assert base_url(a_request(secure=True)) == "https://chat.example"
    assert base_url(page_request()) == "http://localhost:3000"
    assert base_url(page_request("https", "chat.example")) == "https://chat.example"


def test_what_is_set_counts_whatever_the_request_says() -> None:
    base_url = base_url_of("https://talk.example/chat/")
    assert base_url(a_request()) == "https://talk.example/chat"
    assert base_url(page_request()) == "https://talk.example/chat"


def test_a_port_without_pages_leads_to_the_one_that_has_them() -> None:
    base_url = base_url_of(None, lambda: 3000)
    assert base_url(a_request(host="localhost:8080")) == "http://localhost:3000"
    assert base_url(a_request(host="[::1]:8080")) == "http://[::1]:3000"
    assert base_url(a_request(host="[::1]")) == "http://[::1]:3000"
    assert base_url(a_request(host="chat.example")) == "http://chat.example:3000"
