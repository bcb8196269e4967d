"""The tables of docs/eligibility.md, from the decision tables. PURE.

`python -m dispatcher.planning.decision_document docs/eligibility.md` writes them into the page.
"""

from __future__ import annotations

import sys
from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from dispatcher.planning.decisions import NETWORK_RULES, PACKAGE_RULES, Method
from dispatcher.planning.facts import Facts, OsSupport
from dispatcher.planning.os_support import included
from dispatcher.planning.remedies import reasons, remedy
from sidelight.model import ScanMode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dispatcher.planning.decisions import DecisionRule

TITLES = {
    "account": "account",
    "mode": "mode",
    "lifecycle": "instance",
    "exclusion": "exclusion tag",
    "ssm": "Systems Manager",
    "os": "OS read by",
    "platform": "platform",
    "storage": "storage",
    "filesystem": "filesystem",
    "limits": "volume limits",
    "key": "KMS key",
}
NONE = "none"  # an empty cell


def filled(text: str) -> str:
    """Return the page with each table written again between its two marks. Raises ValueError."""
    for name, rows in _tables().items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
        before, _, others = text.partition(begin)
        _, found, after = others.partition(end)
        if not found:
            raise ValueError(f"the page has no marks for {name}")
        text = f"{before}{begin}\n{rows}\n{end}{after}"
    return text


def _tables() -> dict[str, str]:
    """Return the Markdown tables by name."""
    decision = ("#", "if", "method", "status", "reason", "scan mode", "note")
    remedies = []
    for reason in reasons():
        usual, of_agent = remedy(reason), remedy(reason, ScanMode.AGENT_BASED)
        remedies.append((f"`{reason}`", usual))
        if of_agent != usual:
            remedies.append((f"`{reason}`, scan mode `{ScanMode.AGENT_BASED}`", of_agent))
    return {
        "facts": _table(("fact", "values"), _facts()),
        "package rules": _table(decision, _rows(PACKAGE_RULES)),
        "network rules": _table(decision, _rows(NETWORK_RULES)),
        "operating systems": _table(("operating system", "agent-based", "agentless"), _systems())
        + f"\n{included().source} Checked on {included().checked.isoformat()}.\n",
        "remedies": _table(("reason", "what to do"), remedies),
    }


def _table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [titles, ("---",) * len(titles), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines).replace("|  |", "| |")


def _systems() -> Iterator[tuple[str, str, str]]:
    table = included()
    rows = [(row.prefix, row.support) for row in table.systems]
    rows += [(f"{platform}, all others", support) for platform, support in table.platforms.items()]
    for name, support in rows:
        agent = support in {OsSupport.BOTH, OsSupport.AGENT_BASED}
        less = support in {OsSupport.BOTH, OsSupport.AGENTLESS}
        yield name, _yes(agent), _yes(less)


def _facts() -> Iterator[tuple[str, str]]:
    for item in fields(Facts):
        kind = type(item.default)
        assert issubclass(kind, StrEnum)  # noqa: S101 - every fact is one
        yield TITLES[item.name], ", ".join(f"`{value}`" for value in kind)


def _rows(rules: tuple[DecisionRule, ...]) -> Iterator[tuple[str, ...]]:
    for number, rule in enumerate(rules, 1):
        outcome = rule.outcome
        condition = "; ".join(
            f"{TITLES[name]} {_alternatives(kind, allowed)}"
            for name, allowed in rule.conditions.items()
            for kind in [type(next(iter(allowed)))]
        )
        method = outcome.method.value.lower().replace("_", "-")
        yield (
            str(number), condition or "all others",
            NONE if outcome.method is Method.NONE else method,
            outcome.status_code if outcome.reason else "no entry",
            f"`{outcome.reason}`" if outcome.reason else NONE, _scan_mode(rule, rules), rule.note,
        )  # fmt: skip


def _scan_mode(rule: DecisionRule, rules: tuple[DecisionRule, ...]) -> str:
    if rules is NETWORK_RULES or not rule.outcome.reason:
        return NONE
    return f"`{rule.outcome.scan_mode}`" if rule.outcome.scan_mode else "the mode's"


def _alternatives(kind: type[StrEnum], allowed: frozenset[StrEnum]) -> str:
    return " or ".join(f"`{value}`" for value in kind if value in allowed)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


if __name__ == "__main__":
    PAGE = Path(sys.argv[1])
    PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8")
