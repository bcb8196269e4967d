"""AWS's answers to describe calls, by account and Region: the network model's input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidelight.model.software import Problem

AccountRegion = tuple[str, str]
Lists = Mapping[str, Sequence[object]]


class Answers(Mapping[AccountRegion, Lists]):
    """The lists of describe answers, by account-region and stem (see `stems`). It never changes.

    Account and Region are empty where a dump does not have them. A stem that is absent was not
    asked for, or refused; an empty list says that AWS has no such object. Nothing is known of the
    objects' shape: they may come from a hostile file. `problems` are those of reading them.
    """

    __slots__ = ("_lists", "problems")

    def __init__(
        self, lists: Mapping[AccountRegion, Lists], problems: Sequence[Problem] = ()
    ) -> None:
        self._lists = {
            place: MappingProxyType({stem: tuple(objects) for stem, objects in stems.items()})
            for place, stems in lists.items()
        }
        self.problems = tuple(problems)

    def __getitem__(self, account_region: AccountRegion) -> Lists:
        return self._lists[account_region]

    def __iter__(self) -> Iterator[AccountRegion]:
        return iter(self._lists)

    def __len__(self) -> int:
        return len(self._lists)
