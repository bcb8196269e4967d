"""`sidelight probe`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dispatcher.cli import interrupts
from dispatcher.cli.exit_status import DONE, FAILED, INTERRUPTED, PARTIAL
from dispatcher.cli.finite_range import FiniteRange
from dispatcher.cli.output_file import check_writable
from sidelight import __version__
from sidelight.errors import UsageError
from sidelight.report.output import complain, say

if TYPE_CHECKING:
    from sidelight.aws.probe import Estimate, Measures, Probe, ProbeOutcome

DEPLOYMENT = "probe"


@click.command()
@click.option("--region", required=True, help="AWS Region to work in.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path),
              default=Path("probe.jsonl"), show_default=True,
              help="Write the anonymised recording to this file.")  # fmt: skip
@click.option("--yes", is_flag=True, help="Do not ask; the cost is printed all the same.")
@click.option("--instance", default="", metavar="INSTANCE-ID",
              help="Also snapshot this instance, and read one block of each volume.")  # fmt: skip
@click.option("--refused", multiple=True, metavar="INSTANCE-ID",
              help="Also try to snapshot an instance that EC2 may refuse: a terminated one, or one"
              " without EBS volumes. Repeatable.")  # fmt: skip
@click.option("--limits", is_flag=True,
              help="Also make 101 volumes of 1 GiB and a snapshot of each, to meet the limit of 100"
              " pending snapshots. Other tools of the account may be refused during that time.",
              )  # fmt: skip
@click.option("--reader-profile", default="", metavar="PROFILE",
              help="Also share a snapshot with the account of this AWS profile, and read it"
              " there.")  # fmt: skip
@click.option("--key", default="", metavar="KEY-ARN",
              help="Also snapshot a volume under this KMS key, with a grant for the reader.",
              )  # fmt: skip
@click.option("--patience", type=FiniteRange(1, 240), default=20, show_default=True,
              metavar="MINUTES", help="Longest wait for each measurement.")  # fmt: skip
def probe(  # noqa: PLR0913, PLR0917 - an argument an option
    region: str,
    output: Path,
    yes: bool,
    instance: str,
    refused: tuple[str, ...],
    limits: bool,
    reader_profile: str,
    key: str,
    patience: float,
) -> None:
    """Measure how a real AWS account behaves, and record it.

    The command makes a volume of 1 GiB and snapshots of it, looks at them each second, and deletes
    all of it, also after Ctrl-C. It prints the most that this costs, and asks before it begins.
    The recording has no account id, no name, no id of a resource and no token (docs/probe.md).

    Exit status: 3 where something could not be asked, 4 where something is left in the account.
    """
    from sidelight.aws.probe import Probe, ProbeOptions
    from sidelight.fleet.snapshot_ownership import DEPLOYMENT_TAG, SCAN_TAG

    check_writable(output)
    aws_probe = Probe(
        ProbeOptions(
            region=region,
            tags={DEPLOYMENT_TAG: DEPLOYMENT},
            mark=SCAN_TAG,
            instance=instance,
            refused=refused,
            limits=limits,
            reader_profile=reader_profile,
            key=key,
            patience=patience * 60,
        ),
        say=lambda text: complain(f"probe: {text}"),
    )
    _agree(aws_probe, region, yes=yes)
    forget = interrupts.at_once(lambda: complain(f"not everything is deleted: {aws_probe.trace}"))
    outcome = aws_probe.run()
    forget()
    for item in outcome.left:
        complain(f"left in account {aws_probe.account}, {region}: {item}")
    say("Nothing that was made is left." if not outcome.left else "Not everything was deleted.")
    aws_probe.record(outcome, __version__)
    output.write_text("".join(f"{line}\n" for line in outcome.lines), encoding="utf-8")
    say(f"{output}: {len(outcome.lines)} lines")
    _summarise(outcome)
    sys.exit(_status(outcome))


def _agree(aws_probe: Probe, region: str, *, yes: bool) -> None:
    """Print the planned resources and their cost; ask for a typed "yes". Raises UsageError."""
    from sidelight.aws.probe import MOST_DOLLARS

    estimate = aws_probe.estimate()
    resources = _resources(estimate)
    say(f"Account {aws_probe.account}, Region {region}: {resources}, all deleted in the end.")
    say(f"Cost: at most ${estimate.usd:.2f}.")
    if estimate.kept_usd:
        say(
            "A Recycle Bin rule of this account keeps deleted snapshots, and AWS bills them: up to "
            f"${estimate.kept_usd:.2f} of the above."
        )
    if estimate.usd >= MOST_DOLLARS:
        raise UsageError(
            f"may cost ${estimate.usd:.2f}; the most is ${MOST_DOLLARS:.2f}: leave out --instance"
            " or --limits"
        )
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("needs --yes where nobody can be asked")
    if click.prompt('Type "yes" to begin', default="", show_default=False) != "yes":
        raise click.Abort


def _resources(estimate: Estimate) -> str:
    volumes = "a volume" if estimate.volumes == 1 else f"{estimate.volumes} volumes"
    return f"{volumes} of 1 GiB and snapshots of {estimate.snapshot_gib} GiB at most"


def _summarise(outcome: ProbeOutcome) -> None:
    """Print the measurements, and the failed questions."""
    from sidelight.aws.probe import measure

    for line in _lines(measure(outcome.lines)):
        say(line)
    for failure in outcome.failures:
        complain(f"could not be asked: {failure}")


def _lines(measures: Measures) -> list[str]:
    def most(name: str, values: list[float]) -> list[str]:
        return [f"{name}: {min(values):.1f} to {max(values):.1f} s"] if values else []

    lines = [
        *most("creation to completion", measures.completion),
        *most("creation until DescribeSnapshots shows it", measures.describe),
        *most("completion until EBS direct finds it", measures.absent),
        *most("from then until EBS direct allows it", measures.denied),
        *most("sharing until the other account can read", measures.shared),
    ]
    for name, errors in (("while pending", measures.pending), ("after completion", measures.late)):
        lines += [
            f"EBS direct {name}: {error.status} {error.code} {error.reason} {error.message}"
            for error in errors
        ]
    lines += [f"{code}: {text}" for code, text in measures.texts.items()]
    if measures.recycle_days:
        lines.append(
            f"Recycle Bin keeps deleted snapshots for {measures.recycle_days} days, and AWS bills"
            " them, unless the rule excludes our tags: see docs/real-accounts.md"
        )
    return lines


def _status(outcome: ProbeOutcome) -> int:
    if outcome.left:
        return FAILED
    if outcome.interrupted:
        return INTERRUPTED
    return PARTIAL if outcome.failures else DONE
