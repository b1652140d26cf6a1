"""A browser without script: follows links, fills forms in, keeps cookies as their attributes say.

Only what the forms need: same-origin navigation, relative addresses, `SameSite=Strict`, `Secure`.
It sends `Origin` with a form as browsers do: "null" under a page whose policy hides the referrer.
"""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urljoin, urlsplit

if TYPE_CHECKING:
    import httpx

__all__ = ["Browser", "Form"]


class Form(HTMLParser):
    """The forms, links and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str]]] = []
        """Address and fields of each."""
        self.links: list[str] = []
        self.scripts = 0
        self.inline = 0
        """Attributes that run or style something: `onclick`, `style`."""
        self.title = ""
        self.text = ""
        self._tag = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take a tag."""
        values = {name: value or "" for name, value in attrs}
        self._tag = tag
        self.scripts += tag in ("script", "style")
        self.inline += sum(name.startswith("on") or name == "style" for name in values)
        if tag == "form":
            assert values["method"] == "post"
            self.forms.append((values["action"], {}))
        elif tag == "input":
            self.forms[-1][1][values["name"]] = values.get("value", "")
        elif tag == "a":
            self.links.append(values["href"])

    def handle_data(self, data: str) -> None:
        """Take a text."""
        if self._tag == "title":
            self.title += data
        self.text += data


class Browser:
    """One browser, at one chat."""

    def __init__(self, client: httpx.AsyncClient, **headers: str) -> None:
        self._client = client
        self._headers = headers
        self.cookies: dict[str, str] = {}
        self.path = "/"
        self.page = Form("")
        self.answer: Any = None

    @property
    def place(self) -> str:
        """Where it is, with what stands behind the `#`."""
        return self.path

    async def open(self, path: str) -> Form:
        """Go to an address."""
        return await self._go("GET", path)

    async def submit(self, number: int = 0, *, origin: str | None = "", **fields: str) -> Form:
        """Fill in a form of the page and send it.

        Args:
            number: Which form.
            origin: What to claim to come from; "": as it is, None: nothing.
            fields: What is typed.
        """
        action, known = self.page.forms[number]
        assert fields.keys() <= known.keys(), (fields.keys(), known)
        return await self._go("POST", action, known | fields, origin)

    async def follow(self, end: str) -> Form:
        """Follow the link whose address ends so."""
        (address,) = [one for one in self.page.links if one.endswith(end)]
        return await self._go("GET", address)

    async def _go(
        self, method: str, path: str, data: dict[str, str] | None = None, origin: str | None = None
    ) -> Form:
        base = str(self._client.base_url)
        for _ in range(5):
            url = urljoin(urljoin(base, self.path), path)
            headers = dict(self._headers)
            if method == "POST" and origin is not None:
                headers["origin"] = origin or self._own_origin(base)
            if self.cookies:
                headers["cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
            if data is not None:
                headers["content-type"] = "application/x-www-form-urlencoded"
            content = None if data is None else urlencode(data)
            self.answer = await self._client.request(method, url, content=content, headers=headers)
            self._client.cookies.clear()  # those of this browser are kept here
            self._keep()
            parts = urlsplit(url)
            self.path = parts.path + (f"?{parts.query}" if parts.query else "")
            if self.answer.status_code != 303:
                break
            path, method, data = self.answer.headers["location"], "GET", None
        fragment = urlsplit(path).fragment
        self.path += f"#{fragment}" if fragment else ""
        self.page = Form(self.answer.text)
        return self.page

    def _own_origin(self, base: str) -> str:
        policy = self.answer.headers.get("referrer-policy") if self.answer is not None else ""
        if policy == "no-referrer":  # Fetch, "append a request Origin header"
            return "null"
        return self._headers.get("x-own-origin", base.rstrip("/"))

    def _keep(self) -> None:
        for line in self.answer.headers.get_list("set-cookie"):
            pair, *attributes = [part.strip() for part in line.split(";")]
            name, _, value = pair.partition("=")
            said = {one.lower() for one in attributes}
            assert {"httponly", "samesite=strict", "path=/"} <= said, line
            assert not any(one.startswith("domain") for one in said)
            if "max-age=0" in said:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
