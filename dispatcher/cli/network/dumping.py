"""`sidelight network dump`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from dispatcher.cli.exit_status import DONE, PARTIAL
from dispatcher.cli.network.collecting import account_regions
from sidelight.reachability.answers.dump_writer import folder_of, write_answers
from sidelight.report.as_table import counted
from sidelight.report.output import complain, say
from sidelight.report.progress import live

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sidelight.fleet.settings import Settings


def dump(settings: Settings, folder: Path, regions: Sequence[str]) -> None:
    """`sidelight network dump`: its options are in dispatcher.cli.network.commands."""
    problems = []
    for account, region, calls in account_regions(settings, regions):
        target = folder_of(folder, account, region)
        with live(f"reading the network of {account}/{region}"):
            answers = calls.collect()
        write_answers(target, answers)
        objects = sum(len(listed) for listed in answers.values())
        say(
            f"{target}: {counted(len(answers), 'file')}, {counted(objects, 'object')},"
            f" {counted(calls.calls, 'call')}"
        )
        problems += calls.problems
    for problem in problems:
        complain(f"sidelight: {problem.where}: {problem.what}")
    sys.exit(PARTIAL if problems else DONE)
