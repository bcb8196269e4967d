"""Saved views: a person's own, of findings and instances."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sidelight.model import Role
from sidelight.store.accounts.saved_views import MOST_VIEWS
from tests.fixtures.console_rig import ConsoleRig, header, person, text_of

if TYPE_CHECKING:
    from sidelight.store import Store

QUERY = "severity=HIGH&severity=CRITICAL&exploit=YES&account=111111111111"
HOSTILE = '"><script>alert(1)</script>\u202e'
READER = person(Role.READER, name="bob")


@pytest.fixture
def rig(store: Store) -> ConsoleRig:
    return ConsoleRig(store)


def saved(rig: ConsoleRig, status: int = 303, **form: str) -> str:
    values = {"page": "/findings", "name": "mine", "query": QUERY, **form}
    answer = rig.post("/views", values, READER)
    assert answer.status == status
    return header(answer, "Location")


def test_a_view_leads_to_its_filters(rig: ConsoleRig) -> None:
    assert saved(rig) == f"/findings?{QUERY}"
    page = text_of(rig.get(f"/findings?{QUERY}", READER))
    assert ">mine</bdi>" in page
    assert f'href="/findings?{QUERY.replace("&", "&amp;")}" aria-current="true"' in page
    assert ">mine</bdi>" not in text_of(rig.get("/instances", READER))


def test_where_one_is_in_a_list_is_no_part_of_a_view(rig: ConsoleRig) -> None:
    assert saved(rig, query=f"after=abc&from=50&format=csv&{QUERY}") == f"/findings?{QUERY}"
    assert saved(rig, page="/instances", query="") == "/instances"


def test_a_name_is_used_once(rig: ConsoleRig, store: Store) -> None:
    saved(rig)
    saved(rig, query="severity=LOW")
    (view,) = store.saved_views.of("bob", "/findings")
    assert view.query == "severity=LOW"


def test_views_of_a_person_are_nobody_elses(rig: ConsoleRig, store: Store) -> None:
    saved(rig)
    (view,) = store.saved_views.of("bob", "/findings")
    assert ">mine</bdi>" not in text_of(rig.get("/findings", person()))
    assert rig.post(f"/views/{view.id}/remove", {}, person()).status == 404
    assert store.saved_views.of("bob", "/findings") == [view]
    answer = rig.post(f"/views/{view.id}/remove", {}, READER)
    assert (answer.status, header(answer, "Location")) == (303, "/findings")
    assert store.saved_views.of("bob", "/findings") == []


@pytest.mark.parametrize(
    "form",
    [
        {"name": ""}, {"name": "x" * 81}, {"page": "/settings"}, {"page": "//evil.example"},
        {"query": "package=" + "x" * 5000}, {"query": "&".join(["a=b"] * 500)},
    ],
    ids=range(6),
)  # fmt: skip
def test_a_view_that_cannot_be_is_refused(
    rig: ConsoleRig, store: Store, form: dict[str, str]
) -> None:
    answer = rig.post("/views", {"page": "/findings", "name": "mine", "query": QUERY, **form},
                      READER)  # fmt: skip
    assert answer.status == 400
    assert store.saved_views.of("bob", "/findings") == []


def test_a_hostile_view_is_inert(rig: ConsoleRig) -> None:
    target = saved(rig, name=HOSTILE, query=f"package={HOSTILE}\x00\n#x")
    assert target.startswith("/findings?package=%22")
    assert not set(target) & set('\n\x00<>" ')
    page = text_of(rig.get(target, READER))
    assert "<script>alert" not in page
    assert rig.get(target, READER).status == 200


def test_a_person_has_so_many_views_at_most(rig: ConsoleRig, store: Store) -> None:
    for number in range(MOST_VIEWS):
        assert store.saved_views.put("bob", "/findings", f"view {number}", "")
    saved(rig, 409)
    saved(rig, name="view 3")
    assert len(store.saved_views.of("bob", "/findings")) == MOST_VIEWS
