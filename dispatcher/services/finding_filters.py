"""Filters of findings, of the fleet and of accounts: command line and API call this.

A filter with the action SUPPRESS acts at once: all findings are judged again before it returns.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sidelight.errors import FormatError, SidelightError, UsageError
from sidelight.suppression import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidelight.model import SuppressionRule
    from sidelight.store import Store

MOST_FILTERS: Final = 500  # of one owner, as in Inspector


class FilterQuotaError(SidelightError):
    """An owner has as many filters as it may."""


class FilterService:
    """Creates, changes and deletes filters; an empty owner is the operator's, for the fleet."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, rule: SuppressionRule) -> SuppressionRule:
        """Create a filter under a new id. Raises UsageError, FilterQuotaError."""
        check_criteria(json.loads(rule.criteria))
        present = self._store.suppression_rules.all(rule.owner)
        if any(known.name == rule.name for known in present):
            raise UsageError("a filter of this name exists", where=rule.name)
        if len(present) >= MOST_FILTERS:
            raise FilterQuotaError(f"at most {MOST_FILTERS} filters", where=rule.owner)
        created = replace(rule, id=uuid.uuid4().hex[:16])
        self._store.suppression_rules.save(created)
        return created

    def create_once(self, rule: SuppressionRule) -> SuppressionRule:
        """Create a filter; where the owner has it already, only its end changes.

        So a form that is sent twice creates one. Raises as `create`.
        """
        for known in self._store.suppression_rules.all(rule.owner):
            if (known.name, known.criteria, known.owner) == (rule.name, rule.criteria, rule.owner):
                renewed = replace(rule, id=known.id)
                self._store.suppression_rules.save(renewed)
                return renewed
        return self.create(rule)

    def update(self, rule: SuppressionRule) -> None:
        """Replace the filter of this id. Raises UsageError."""
        check_criteria(json.loads(rule.criteria))
        present = self._store.suppression_rules.all(rule.owner)
        if any(known.name == rule.name and known.id != rule.id for known in present):
            raise UsageError("a filter of this name exists", where=rule.name)
        self._store.suppression_rules.save(rule)

    def save(self, rule: SuppressionRule) -> int:
        """Create a filter, or replace the one of its name; return how many findings changed.

        Raises UsageError.
        """
        check_criteria(json.loads(rule.criteria))
        return self._store.suppression_rules.save(rule)

    def remove(self, name: str, owner: str = "") -> bool:
        """Remove an owner's filter and its effect; False if there is none of this name."""
        return self._store.suppression_rules.remove(name, owner)


def check_criteria(document: Mapping[str, object]) -> None:
    """Raise UsageError unless these are FilterCriteria."""
    try:
        parse(document)
    except FormatError as error:
        raise UsageError(error.what, where=error.where) from error
