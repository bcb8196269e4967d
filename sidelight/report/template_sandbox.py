"""Jinja's sandbox, without numbers that keep the processor within one operation.

A bound on time is checked between Python's operations. The product of two very long integers is
one operation, which takes hours, and no other thread runs meanwhile.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Final

from jinja2.filters import do_round
from jinja2.sandbox import ImmutableSandboxedEnvironment

if TYPE_CHECKING:
    from typing import Literal

    from jinja2.runtime import Context

MOST_BITS: Final = 4096  # of an integer that a template computes with
MOST_DIGITS: Final = 300  # of `round`; a float has fewer
_POWER: Final = "**"


class TemplateSandbox(ImmutableSandboxedEnvironment):
    """An environment of templates that other people wrote."""

    # Operators that are intercepted are not computed when a template is compiled.
    intercepted_binops = frozenset({"*", "/", "//", "%", _POWER})

    def __init__(self, **options: Any) -> None:
        """Take the options of Jinja's environment."""
        super().__init__(**options)
        self.filters["round"] = _round

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Return the result. Raises OverflowError for integers of too many bits."""
        if isinstance(left, int) and isinstance(right, int):
            bits = max(_bits(left), _bits(right))
            if operator == "*":
                bits = _bits(left) + _bits(right)
            elif operator == _POWER and right > 0 and _bits(left) > 1:
                bits = max(bits, _bits(left) * right)
            if bits > MOST_BITS:
                raise OverflowError(f"a number of more than {MOST_BITS} bits")
        return super().call_binop(context, operator, left, right)


def _bits(number: int) -> int:
    return int(number).bit_length()


def _round(
    value: Any, precision: int = 0, method: Literal["common", "ceil", "floor"] = "common"
) -> float:
    """Round as Jinja's filter. Raises OverflowError for too many digits."""
    if abs(operator.index(precision)) > MOST_DIGITS:
        raise OverflowError(f"round to more than {MOST_DIGITS} digits")
    return do_round(value, precision, method)
