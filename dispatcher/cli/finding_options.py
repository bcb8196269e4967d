"""The options that select findings, shared by `scan` and `fleet findings`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from sidelight.errors import UsageError
from sidelight.report.formats.format_names import TEMPLATE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dispatcher.cli.option_values import FindingValues, ReadValues
    from sidelight.model import Finding, NetworkFinding, Severity
    from sidelight.report.user_templates import UserTemplate

# As sidelight.model.Severity, which costs a tenth of a second to import: help doesn't.
SEVERITIES = ("UNTRIAGED", "INFORMATIONAL", "LOW", "MEDIUM", "HIGH", "CRITICAL")


def severities_of(
    context: click.Context, parameter: click.Parameter, values: Sequence[str]
) -> frozenset[Severity]:
    """Parse `high` or `high,critical`, in any case, repeatable. Raises BadParameter."""
    words = [word.strip().upper() for value in values for word in value.split(",")]
    for word in words:
        if word not in SEVERITIES:
            what = f"{word!r} is not one of {', '.join(SEVERITIES)}"
            raise click.BadParameter(what, context, parameter)
    if not words:
        return frozenset()
    from sidelight.model import Severity

    return frozenset(map(Severity, words))


@dataclass(frozen=True, slots=True)
class Selection:
    """Selects findings of these severities (empty: all), optionally without unfixed ones."""

    severities: frozenset[Severity] = frozenset()
    ignore_unfixed: bool = False

    @classmethod
    def of(cls, options: FindingValues | ReadValues) -> Selection:
        """Take the options out of a command's arguments."""
        return cls(options["severity"], options["ignore_unfixed"])

    def __call__(self, finding: Finding | NetworkFinding) -> bool:
        """Whether a finding is selected."""
        from sidelight.model import FixAvailable

        if self.ignore_unfixed and finding.fix_available is FixAvailable.NO:
            return False
        return not self.severities or finding.severity in self.severities


def template_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add --template."""
    return click.option(
        "--template", metavar="FILE|@NAME",
        help="With --format template: a Jinja template (docs/templates.md), or @markdown or"
        " @summary.",
    )(command)  # fmt: skip


def check_template(form: str, template: str | None) -> UserTemplate | None:
    """Return the template, checked before the work starts. Raises UsageError."""
    if (form == TEMPLATE) != (template is not None):
        raise UsageError("--format template and --template belong together")
    if template == "":
        raise UsageError("--template names no file")
    if template is None:
        return None
    from sidelight.report.user_templates import read_template

    return read_template(template)


def finding_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --severity, --ignore-unfixed and --limit."""
    for option in (
        click.option("--limit", type=click.IntRange(1), metavar="N",
                     help="Show at most N findings, the first in order."),
        click.option("--ignore-unfixed", is_flag=True,
                     help="Leave out findings that no update fixes."),
        click.option("--severity", callback=severities_of, multiple=True,
                     metavar="LEVEL",
                     help="Only findings of these severities. Repeatable, or separated by commas."),
    ):  # fmt: skip
        command = option(command)
    return command
