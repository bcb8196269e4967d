"""One mapping by id of the objects of all account-regions, the same in every order of the answers.

An object that several accounts see (a shared subnet, a transit gateway) is taken from its owner's
answer. Of two that differ for no such reason, the one that sorts first is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from sidelight.model.software import Problem
from sidelight.reachability.answers.fields import Fields, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from sidelight.reachability.answers.answers import Answers

OBJECT_LIMIT: Final = 1_000_000  # objects of one stem: five times the largest network seen
PROBLEM_LIMIT: Final = 1_000

T = TypeVar("T")


class Collector:
    """Reads the objects of stems and keeps the problems that they have."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._places = sorted(answers)
        self.problems: list[Problem] = list(answers.problems)

    def report(self, where: str, what: str) -> None:
        """Keep a problem, if there are not too many."""
        if len(self.problems) < PROBLEM_LIMIT:
            self.problems.append(Problem(where[:200], what))

    def has(self, stem: str) -> bool:
        """Whether any account-region has an answer for the stem."""
        return any(stem in self._answers[place] for place in self._places)

    def objects(self, stem: str) -> Iterator[tuple[Fields, str, str]]:
        """Each object of the stem with its account and Region."""
        count = 0
        for account, region in self._places:
            for item in self._answers[account, region].get(stem, ()):
                count += 1
                if count > OBJECT_LIMIT:
                    self.report(stem, f"more than {OBJECT_LIMIT} objects: the rest is not read")
                    return
                if isinstance(item, dict):
                    yield item, account, region
                else:
                    self.report(_where(account, region, stem), "an entry that is not an object")

    def by_id(
        self,
        stem: str,
        read: Callable[[Fields, str, str], T | None],
        key: Callable[[T], Any],
        rank: Callable[[T], Any] | None = None,
    ) -> dict[Any, T]:
        """The objects of the stem, read, by key.

        Of several the owner's answer counts, else the one with the lowest rank.
        """
        found: dict[object, T] = {}
        order: dict[object, tuple[object, ...]] = {}
        for fields, account, region in self.objects(stem):
            record = read(fields, account, region)
            if record is None:
                self.report(_where(account, region, stem), "an object without an id")
                continue
            name = key(record)
            not_owned = bool(account) and text(fields, "OwnerId") not in ("", account)
            position = (not_owned, rank(record) if rank else 0)
            known = order.get(name)
            if (
                known is None
                or position < known
                or (position == known and repr(record) < repr(found[name]))
            ):
                found[name], order[name] = record, position
        return found


def _where(account: str, region: str, stem: str) -> str:
    return "/".join(part for part in (account, region, stem) if part)
