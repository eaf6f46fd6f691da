"""What a reader of a web page does not read: hidden elements, navigation, banners, footers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["Unread"]

TAGS = frozenset(
    [
        *("head", "title", "script", "style", "noscript", "template", "svg", "iframe", "object"),
        *("audio", "video", "canvas", "map", "nav", "footer", "button", "select", "datalist"),
        *("textarea", "rt", "rp"),
    ]
)
ROLES = frozenset(
    ["navigation", "contentinfo", "search", "menu", "menubar", "dialog", "alertdialog"]
)
POPUPS = frozenset(["true", "menu", "dialog", "listbox", "tree", "grid"])
CLASSES = frozenset(
    [
        *("hidden", "d-none", "is-hidden", "visually-hidden", "visuallyhidden", "sr-only"),
        *("screen-reader-text", "skip-link", "skip-to-content", "noprint", "cookieconsent"),
    ]
)
SHOWN_AGAIN = (":block", ":flex", ":grid", ":inline", "-block", "-flex", "-inline", "-table")
"""Ends of classes that show an element on some screens after all: ``md:block``, ``d-md-flex``."""

CONSENT = frozenset(["cookie", "cookies", "consent", "gdpr", "ccpa"])
BANNERS = frozenset(
    [
        *("banner", "notice", "bar", "popup", "modal", "dialog", "overlay", "message", "consent"),
        *("alert", "disclaimer", "law", "manager", "prompt", "policy-banner"),
    ]
)
VENDORS = ("onetrust", "cookiebot", "cookieconsent", "cookielaw", "cookienotice", "didomi")
WHOLE = frozenset(["html", "body", "main", "article"])
"""Never left out for their class or id."""

WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
BRACE = re.compile(r"[{}]")
SELECTOR = re.compile(r"[.#][\w-]{1,100}")
DECLARATIONS = ("display:none", "visibility:hidden")


@dataclass(frozen=True, slots=True)
class Unread:
    """Says which elements of one page are left out.

    Attributes:
        classes: those that the page's own style sheets hide.
        ids: likewise.
        opened: ids of what a reader opens: tabs' panels, answers below their questions.
    """

    classes: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()
    opened: frozenset[str] = frozenset()

    @classmethod
    def of(cls, page: _Element) -> Unread:
        """Read the style sheets within a page; only rules for a single class or id count."""
        classes: set[str] = set()
        ids: set[str] = set()
        for style in page.iter("style"):
            for selector in _hidden_by(style.text or ""):
                (classes if selector[0] == "." else ids).add(selector[1:])
        return cls(frozenset(classes), frozenset(ids), frozenset(_opened(page)))

    def __call__(self, element: _Element) -> bool:
        """Say whether an element is left out, with all that is in it."""
        tag = element.tag
        if tag in TAGS:
            parent = element.getparent()
            return tag != "footer" or parent is None or parent.tag != "blockquote"
        attributes = dict(element.items())
        if (not attributes and tag != "dialog") or tag in {"html", "body"}:
            return False
        role = attributes.get("role", "").strip().lower()
        if tag != "dialog" and (role == "tabpanel" or attributes.get("id") in self.opened):
            return role in ROLES
        return (
            _is_hidden(tag, attributes)
            or role in ROLES
            or self._by_name(tag, attributes.get("class", ""), attributes.get("id", ""))
        )

    def _by_name(self, tag: object, classes: str, identity: str) -> bool:
        names = classes.split()
        if identity in self.ids or not self.classes.isdisjoint(names):
            return True
        if tag in WHOLE:
            return False
        lowered = [name.lower() for name in names]
        if not CLASSES.isdisjoint(lowered) and not any(n.endswith(SHOWN_AGAIN) for n in lowered):
            return True
        return any(_is_consent(name) for name in (*names, identity) if name)


def _opened(page: _Element) -> Iterator[str]:
    """Yield the ids of what tabs and buttons show; those of navigation open menus."""
    for attribute in ("aria-selected", "aria-expanded"):
        for button in page.xpath(f"//*[@{attribute}][not(ancestor-or-self::nav)]"):
            kind = button.get("aria-haspopup", "false").strip().lower()
            if kind not in POPUPS:
                yield from button.get("aria-controls", "").split()


def _is_hidden(tag: object, attributes: Mapping[str, str]) -> bool:
    return (
        attributes.get("hidden", "until-found").strip().lower() != "until-found"
        or (tag == "dialog" and "open" not in attributes)
        or attributes.get("aria-hidden", "").strip().lower() == "true"
        or _hides(attributes.get("style", ""))
    )


def _is_consent(name: str) -> bool:
    lowered = name.lower()
    if lowered.startswith(VENDORS):
        return True
    if not any(word in lowered for word in CONSENT):
        return False
    words = {word.lower() for word in WORD.findall(name[:200])}
    return not words.isdisjoint(CONSENT) and (
        not words.isdisjoint(BANNERS - CONSENT) or {"cookie", "consent"} <= words
    )


def _hides(style: str) -> bool:
    plain = "".join(style.lower().split())
    return any(declaration in plain for declaration in DECLARATIONS)


def _hidden_by(sheet: str) -> Iterator[str]:
    """Yield the plain selectors of a style sheet's rules that hide; those of media are passed."""
    depth = start = 0
    selector = ""
    for brace in BRACE.finditer(sheet):
        if brace[0] == "{":
            if depth == 0:
                selector = sheet[start : brace.start()].rpartition("*/")[2].strip()
            depth += 1
        else:
            if depth == 1 and not selector.startswith("@") and _hides(sheet[start : brace.start()]):
                parts = (part.strip() for part in selector.split(","))
                yield from (part for part in parts if SELECTOR.fullmatch(part))
            depth = max(depth - 1, 0)
        start = brace.end()
