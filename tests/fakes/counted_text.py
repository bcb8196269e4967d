"""Strings that count their comparisons: what is compared with all others costs their product."""

from __future__ import annotations


class Compared(str):
    """Counts how often one of them is compared; set `comparisons` to 0 before."""

    __slots__ = ()
    comparisons = 0

    def __eq__(self, other: object) -> bool:
        Compared.comparisons += 1
        return super().__eq__(other)

    __hash__ = str.__hash__
