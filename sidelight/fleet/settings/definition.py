"""The definition of a setting: variable, unit, bounds, meaning, and its text as a value."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sidelight.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from dataclasses import Field

PREFIX = "SIDELIGHT_"
# The most of any number: a count that fits every column, and 31 years of seconds.
MOST: Final = 10**9
_METADATA = "setting"
_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off", ""})

Value = TypeVar("Value")


class Process(Enum):
    """The readers of settings. The value is how docs/settings.md names it."""

    MACHINE = "machine commands"  # scan, inventory, ls, cat, tree
    ADVISORIES = "advisories commands"  # advisories update, bundle
    INSTANCE = "instance scans"  # scan i-…, inventory i-…
    FLEET = "fleet commands"  # fleet scan, status, coverage, findings, sweep and so on
    DISPATCHER = "dispatcher"  # fleet run
    WAITING = "waiting workers"
    COMPUTING = "computing workers"
    SERVE = "serve"


WORKERS = (Process.WAITING, Process.COMPUTING)
STAGES = (Process.INSTANCE, *WORKERS)  # where the stages of a scan run
CONTROL = (Process.INSTANCE, Process.FLEET, Process.DISPATCHER)  # where the control plane runs
CALLERS = (*CONTROL, *WORKERS)  # what calls EC2 under the shared rate limits
QUEUES = (*CALLERS, Process.SERVE)


class Kind(Enum):
    """The type of a setting's value; the enum's value is its name for people."""

    TEXT = "text"
    SWITCH = "yes or no"
    WHOLE = "whole number"
    NUMBER = "number"


class Unchosen(float):
    """A default that was not chosen explicitly, for a setting that depends on the account.

    The same number from the environment or an option is a plain float, and is used unchanged.
    """


@dataclass(frozen=True, slots=True)
class Definition:
    """A setting. `words` are texts for values that are not usual numbers (`off`, `auto`).

    Numbers are 0 or more, `positive` ones above 0, and `most` at most.
    """

    variable: str
    kind: Kind
    default: object
    unit: str
    meaning: str
    readers: tuple[Process, ...]
    words: Mapping[str, object]
    positive: bool
    most: int

    @property
    def key(self) -> str:
        """Return the name of its keyword and of an option's value: `store_url`."""
        return key_of(self.variable)

    @property
    def range(self) -> str:
        """Return the type and the range of the value, for people."""
        limits = [
            "above 0" if self.positive else "",
            f"at most {self.most}" if self.most != MOST else "",
        ]
        shown = " and ".join(filter(None, limits))
        return f"{self.kind.value}, {shown}" if shown else self.kind.value

    def parse(self, text: str) -> Any:
        """Return the value of a variable's text. Raises UsageError with the variable's name."""
        if self.kind is Kind.TEXT:
            return text
        word = text.strip().lower()
        if word in self.words:
            return self.words[word]
        try:
            return _switch(word) if self.kind is Kind.SWITCH else self._number(text)
        except (ValueError, OverflowError) as error:
            raise UsageError(self._complaint(text), where=self.variable) from error

    def check(self, value: object) -> None:
        """Raise TypeError for a value of another type."""
        kinds: dict[Kind, tuple[type, ...]] = {
            Kind.TEXT: (str,),
            Kind.SWITCH: (bool,),
            Kind.WHOLE: (int,),
            Kind.NUMBER: (float, int),
        }
        if not isinstance(value, kinds[self.kind]) and value not in self.words.values():
            raise TypeError(f"{self.key}={value!r} is not {self.kind.value}")

    def format(self, value: Any) -> str:
        """Return the text that `parse` reads as this value."""
        for word, meant in self.words.items():
            if value == meant:
                return str(word)
        if self.kind is Kind.SWITCH:
            return "yes" if value else "no"
        return repr(float(value)) if self.kind is Kind.NUMBER else str(value)

    def _number(self, text: str) -> float:
        value = int(text) if self.kind is Kind.WHOLE else float(text)
        if not math.isfinite(value) or not 0 <= value <= self.most or (self.positive and not value):
            raise ValueError(text)
        return value

    def _complaint(self, text: str) -> str:
        shown = text if len(text) <= 40 else f"{text[:40]}…"
        if self.kind is Kind.SWITCH:
            return f"{shown!r} is not yes or no"
        words = "".join(f"{word} or " for word in self.words)
        least = "above 0" if self.positive else "0 or more"
        return f"{shown!r} is not {words}a {self.kind.value}, {least} and at most {self.most}"


def key_of(variable: str) -> str:
    """Return a setting's key: `store_url` of SIDELIGHT_STORE_URL."""
    return variable.removeprefix(PREFIX).lower()


def setting(  # noqa: PLR0913 - all but two by keyword
    variable: str,
    default: Value,
    *,
    unit: str = "",
    meaning: str,
    readers: tuple[Process, ...],
    kind: Kind | None = None,
    words: Mapping[str, object] | None = None,
    positive: bool = False,
    most: int = MOST,
) -> Value:
    """Return a dataclass's field for a setting, with this default and definition.

    `kind` is derived from the default, unless that is a word's value.
    """
    definition = Definition(
        variable, kind or _kind(default), default, unit, meaning, readers, words or {}, positive,
        most,
    )  # fmt: skip
    return field(default=default, metadata={_METADATA: definition})


def definition_of(member: Field[object]) -> Definition:
    """Return the definition of a field of `setting`."""
    found: Definition = member.metadata[_METADATA]
    return found


def _kind(default: object) -> Kind:
    kinds = {str: Kind.TEXT, bool: Kind.SWITCH, int: Kind.WHOLE}
    return kinds.get(type(default), Kind.NUMBER)


def _switch(word: str) -> bool:
    if word not in _TRUE | _FALSE:
        raise ValueError(word)
    return word in _TRUE
