"""Inventory x advisories -> findings. Pure: no clock, and no file except the mapped database."""

from sidelight.matching.end_of_life import discontinued
from sidelight.matching.lookups import MachineLookups, questions
from sidelight.matching.matcher import Matcher, match
from sidelight.matching.unmatched import Unmatched, unmatched_ecosystems

__all__ = [
    "MachineLookups",
    "Matcher",
    "Unmatched",
    "discontinued",
    "match",
    "questions",
    "unmatched_ecosystems",
]
