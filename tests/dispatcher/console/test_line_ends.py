"""A text with line ends comes back from a form as it was, whatever browsers make of line ends."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.console.rendering import hidden_field, typed
from dispatcher.console.web_messages import WebRequest
from tests.fixtures.console_rig import ConsoleRig, person, text_of
from tests.fixtures.hypothesis_profiles import many
from tests.fixtures.stored_findings import Database, FakeAdvisory, inventory, package, scanned

if TYPE_CHECKING:
    from sidelight.store import Store

NAMES = ("a\nb", "a\rb", "a\r\nb", "\n", "a%0Ab\n", "a\nb%")


class FieldParser(HTMLParser):
    """The hidden fields of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fields: list[tuple[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given_ = dict(attrs)
        if tag == "input" and given_.get("type") == "hidden":
            self.fields.append((given_["name"] or "", given_["value"] or ""))


def sent(fields: list[tuple[str, str]]) -> str:
    """The query of a form, as the HTML standard constructs its entry list."""
    return urlencode([(_ended(name), _ended(value)) for name, value in fields], errors="replace")


def _ended(text: str) -> str:
    return re.sub(r"\r\n|\r|\n", "\r\n", text)


@many(300)
@given(st.text(st.sampled_from('a%0\r\n"<&é'), max_size=12))
def test_a_hidden_field_comes_back_as_it_was(value: str) -> None:
    fields = FieldParser(str(hidden_field("name", value))).fields
    request = WebRequest("GET", "/", sent(fields), [], b"", "192.0.2.1")
    assert request.fields() == {"name": [value]}


def test_a_text_of_several_lines_cannot_be_typed() -> None:
    assert [typed(text) for text in ("a", "", "a\nb", "a\rb")] == ["a", "", "", ""]


@pytest.mark.parametrize("name", NAMES)
def test_a_package_is_found_again_by_the_forms_of_its_page(store: Store, name: str) -> None:
    machine = inventory(package(name), package("other"))
    database = Database({name: [FakeAdvisory("CVE-2026-1", "3")],
                         "other": [FakeAdvisory("CVE-2026-2", "3")]})  # fmt: skip
    scanned(store, database, machine, "i-1")
    rig = ConsoleRig(store)
    page = text_of(rig.get("/findings?" + urlencode({"package": name}), person()))
    assert "1 finding matches" in page
    form = page[page.index("<aside") : page.index("</aside>")]
    # The form for more filters keeps all that there are.
    fields = FieldParser(form[form.index("More filters") : form.index("Add the filter")]).fields
    again = text_of(rig.get(f"/findings?{sent(fields)}", person()))
    assert "1 finding matches" in again
    assert "CVE-2026-1" in again
    # So does the one whose field cannot show it.
    first = FieldParser(form[: form.index("</form>")]).fields
    again = text_of(rig.get(f"/findings?{sent([('package', ''), *first])}", person()))
    assert "1 finding matches" in again
