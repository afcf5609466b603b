"""What a browser finds on a page: its links, its forms with all their fields and buttons, its elements of htmx."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlsplit

Pairs = list[tuple[str, str]]


@dataclass
class Form:
    """`fields` as a browser would send them, without the button; `buttons` are the (name, value) of each submit."""

    method: str
    action: str
    fields: Pairs = field(default_factory=list)
    buttons: Pairs = field(default_factory=list)

    def pressed(self, button: tuple[str, str]) -> dict[str, list[str]]:
        """What pressing `button` sends."""
        data: dict[str, list[str]] = {}
        for name, value in [*self.fields, button]:
            if name:
                data.setdefault(name, []).append(value)
        return data


class Page(HTMLParser):
    """`forms` with the method POST, hx-post elements outside of such a form among them, and `queries` of its links."""

    def __init__(self, body: str, address: str) -> None:
        super().__init__()
        self.address = address
        self.forms: list[Form] = []
        self.queries: Pairs = []
        self._by_id: dict[str, Form] = {}
        self._form: Form | None = None
        self._select: tuple[str, Pairs] | None = None
        self._area: tuple[str, list[str]] | None = None
        self.feed(body)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(given.get("method", "get").lower(), given.get("action") or self.address)
            self._by_id[given.get("id", "")] = self._form
            if self._form.method == "post":
                self.forms.append(self._form)
        elif "hx-post" in given and self._form is None:
            self.forms.append(Form("post", given["hx-post"], buttons=[("", "")]))
        if tag == "a":
            self.queries += parse_qsl(urlsplit(given.get("href", "")).query, keep_blank_values=True)
        form = self._by_id.get(given["form"]) if "form" in given else self._form
        if form is not None and "disabled" not in given:
            self._field(form, tag, given)

    def _field(self, form: Form, tag: str, given: dict[str, str]) -> None:
        name, value, kind = given.get("name", ""), given.get("value", ""), given.get("type", "")
        if tag == "button" or (tag == "input" and kind in ("submit", "image")):
            if kind in ("submit", "image", ""):
                form.buttons.append((name, value))
        elif tag == "input":
            if kind not in ("checkbox", "radio"):
                form.fields.append((name, value))
            elif "checked" in given:
                form.fields.append((name, value or "on"))
        elif tag == "select":
            self._select = (name, [])
        elif tag == "option" and self._select is not None:
            self._select[1].append((value, "selected" if "selected" in given else ""))
        elif tag == "textarea":
            self._area = (name, [])

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._area[1].append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select" and self._select is not None and self._form is not None:
            name, options = self._select
            chosen = [value for value, mark in options if mark] or [value for value, _mark in options[:1]]
            self._form.fields += [(name, value) for value in chosen]
            self._select = None
        elif tag == "textarea" and self._area is not None and self._form is not None:
            self._form.fields.append((self._area[0], "".join(self._area[1]).removeprefix("\n")))
            self._area = None
