"""The page as text: self-contained, and safe whatever a description holds."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.viz.page.graphs import chain
from tinygrad_cnn.viz import page

ASSETS = Path(page.__file__).parent
HOSTILE = "</script><script>alert(1)</script><!-- \u2028 \u2029 & \" ' {{data}}"


class Elements(HTMLParser):
    """The page's elements as a browser's parser would find them: (tag, attributes, text of scripts and styles)."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, Any], str]] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, dict(attrs), ""))
        self.inside = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            tag, attributes, text = self.found[-1]
            self.found[-1] = (tag, attributes, text + data)

    def of(self, tag: str) -> list[tuple[dict[str, Any], str]]:
        return [(attributes, text) for found, attributes, text in self.found if found == tag]


def embedded(text: str) -> Any:
    (data,) = [body for attributes, body in Elements(text).of("script") if attributes.get("id") == "description"]
    return json.loads(data)


def test_what_is_embedded_is_what_was_given() -> None:
    description = chain(3) | {"title": HOSTILE}
    positions = {"": {"0": {"x": 1.5, "y": 2.0}}}
    assert embedded(page.render(description, positions)) == {"description": description, "positions": positions}


def test_hostile_text_adds_no_element() -> None:
    description = chain(3)
    plain = Elements(page.render(description)).found
    description["title"] = description["nodes"][0]["label"] = HOSTILE
    hostile = Elements(page.render(description)).found
    assert [tag for tag, _, _ in hostile] == [tag for tag, _, _ in plain]


def test_numbers_that_json_lacks_become_words() -> None:
    description = chain(1)
    description["nodes"][0]["value"] |= {"min": float("-inf"), "max": float("inf"), "mean": float("nan")}
    value = embedded(page.render(description))["description"]["nodes"][0]["value"]
    assert (value["min"], value["max"], value["mean"]) == ("-inf", "inf", "nan")


def test_lone_surrogates_do_not_keep_the_page_from_being_written() -> None:
    page.render(chain(1) | {"title": "a\ud800b"}).encode("utf-8")


def test_the_policy_allows_these_scripts_and_styles_and_nothing_else() -> None:
    elements = Elements(page.render(chain(2)))
    (policy,) = [a["content"] for a, _ in elements.of("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in html.unescape(policy).split("; "))
    assert rules["default-src"] == "'none'"
    assert "unsafe" not in policy
    scripts = [text for attributes, text in elements.of("script") if "type" not in attributes]
    styles = [text for _, text in elements.of("style")]
    for allowed, texts in ((rules["script-src"], scripts), (rules["style-src"], styles)):
        hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
        assert allowed.split() == [f"'sha256-{h}'" for h in hashes]


def test_the_page_reads_no_other_file() -> None:
    text = page.render(chain(2))
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#)|@import|url\(""", text)
    assert set(re.findall(r"https?://[^\s'\"]+", text)) == {"http://www.w3.org/2000/svg"}


def test_every_script_beside_the_template_is_part_of_the_page() -> None:
    assert {file.stem for file in ASSETS.glob("js/*.js")} == set(page.SCRIPTS)
    assert {file.name for file in ASSETS.glob("*.css")} == set(page.STYLES)


@pytest.mark.parametrize("file", sorted(ASSETS.glob("js/*.js")), ids=lambda file: file.stem)
def test_scripts_set_text_and_never_markup(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert not re.search(r"\.(?:inner|outer)HTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text)
    assert max(map(len, text.splitlines())) < 260, "readable source, nothing minified"
