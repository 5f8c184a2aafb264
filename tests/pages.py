"""A page taken apart: its elements and its text, whether it loads anything, and texts that try to become markup."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "img", "br", "link", "input", "hr"}
EVIL = ["<script>alert(1)</script>\"'><img src=x onerror=alert(1)>", "</style><script>alert(2)</script>--></title>",
        "{{ 7*7 }}{% for x in y %} javascript:alert(1)", "a\x00b\nc\u202egpj.exe &lt;b&gt;"]  # fmt: skip


class Page(HTMLParser):
    """Elements with their attributes, and the text of the page; fails on tags that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {k: v or "" for k, v in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {k: v or "" for k, v in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def assert_loads_nothing(page: Page) -> None:
    for tag, attributes in page.elements:
        assert not [k for k in attributes if k.startswith("on")], f"{tag} has a handler"
        assert "style" not in attributes, f"{tag} has a style of its own, which the policy forbids"
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            address = attributes.get(name, "")
            if tag != "object":
                assert not address or address.startswith(("data:image/", "data:text/csv;", "#")), (tag, address[:60])
    assert not {"iframe", "object", "embed", "link", "form", "base"} & {tag for tag, _ in page.elements}
