"""What if: a person asks about a port, with and without rules, on the page."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from sidelight.fleet.networks.kept_answers import kept_of
from sidelight.model import Coverage, Role
from tests.fixtures.console_rig import ConsoleRig, person, text_of
from tests.fixtures.network_answers import ACCOUNT, REGION, answers

if TYPE_CHECKING:
    from sidelight.store import Store

RULE = "sg-1/ingress/tcp/22-22/0.0.0.0/0"
HOSTILE = '"><script>alert(1)</script>'


@pytest.fixture
def rig(store: Store) -> ConsoleRig:
    store.instances.cover([Coverage(ACCOUNT, REGION, "i-1", "web", "ACTIVE", "SUCCESSFUL")])
    store.network_evaluations.keep([(ACCOUNT, REGION)])
    claim = store.network_evaluations.claim(ACCOUNT, REGION, 60)
    assert claim is not None
    store.network_evaluations.finish(claim, 3600, "", kept_of(answers()))
    return ConsoleRig(store)


def what_if_page(rig: ConsoleRig, **fields: object) -> str:
    query = urlencode({"instance": "i-1", "port": 22, "protocol": "tcp", **fields}, doseq=True)
    answer = rig.get(f"/network/what-if?{query}", person(Role.READER))
    assert answer.status == 200
    return text_of(answer)


def test_a_rule_that_is_left_out_closes_the_port(rig: ConsoleRig) -> None:
    page = what_if_page(rig, without=[RULE])
    assert "The change closes this port." in page
    assert "Stopped by security group" in page
    assert page.count('class="way-picture"') == 2


def test_another_rule_opens_a_port(rig: ConsoleRig) -> None:
    page = what_if_page(rig, port=80, group="sg-1", from_block="0.0.0.0/0")
    assert "The change opens this port." in page


def test_a_question_alone_shows_what_is(rig: ConsoleRig) -> None:
    page = what_if_page(rig)
    assert "As it is" in page
    assert "After the change" not in page
    assert f'value="{RULE}"' in page


def test_an_instance_without_a_port_shows_its_rules_to_choose(rig: ConsoleRig) -> None:
    page = what_if_page(rig, port="")
    assert "Choose a port" in page
    assert RULE in page


@pytest.mark.parametrize(
    "fields",
    [
        {"port": "x"}, {"port": "99999"}, {"port": "²"}, {"protocol": HOSTILE},
        {"source": HOSTILE}, {"without": HOSTILE}, {"group": HOSTILE},
        {"group": "sg-1", "from_block": HOSTILE}, {"group": "sg-1", "opened": HOSTILE},
    ],
    ids=range(9),
)  # fmt: skip
def test_a_question_that_cannot_be_is_explained(rig: ConsoleRig, fields: dict[str, str]) -> None:
    page = what_if_page(rig, **fields)
    assert 'class="banner bad"' in page
    assert "<script>alert" not in page


def test_an_instance_of_another_account_is_not_there(rig: ConsoleRig) -> None:
    other = person(Role.ADMINISTRATOR, frozenset(), "999999999999")
    for query in ("instance=i-1&port=22", f"instance=i-1&port=22&owner={ACCOUNT}"):
        assert rig.get(f"/network/what-if?{query}", other).status == 404
    assert rig.get("/network/what-if?instance=i-unknown", person()).status == 404


def test_a_network_that_was_not_evaluated_is_no_answer(store: Store) -> None:
    store.instances.cover([Coverage(ACCOUNT, REGION, "i-1", "web", "ACTIVE", "SUCCESSFUL")])
    page = what_if_page(ConsoleRig(store))
    assert "was not evaluated yet" in page
    assert "Not reachable" not in page
