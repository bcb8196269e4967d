"""`sidelight network explain` and `scan`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from dispatcher.cli.exit_status import DONE, PARTIAL
from dispatcher.cli.network import views
from dispatcher.cli.network.changes import read_changes
from sidelight.errors import DamagedError, UsageError
from sidelight.reachability.answers.answers import Answers
from sidelight.reachability.answers.dump import load_dump
from sidelight.reachability.network import Network
from sidelight.report.as_json import dumps
from sidelight.report.output import complain, write_json
from sidelight.report.tables import Report

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sidelight.fleet.settings import Settings


def explain(  # noqa: PLR0913 - an argument an option
    *,
    settings: Settings,
    source: str,
    target: str,
    protocol: str,
    port: int,
    form: str,
    dump: Path | None,
    regions: Sequence[str],
    removed: Sequence[str],
    changes: Path | None,
) -> None:
    """`sidelight network explain`: its options are in dispatcher.cli.network.commands."""
    answers = _answers(settings, dump, regions)
    network = _changed(answers, removed, changes)
    explanation = network.explain(source, target, protocol, port)
    if form == "json":
        write_json(dumps(views.explanation_document(explanation)))
        for note in explanation.notes:
            complain(f"note: {note}")
    else:
        views.show_explanation(Report(sys.stdout), explanation)
    _end(answers)


def scan(  # noqa: PLR0913 - an argument an option
    *,
    settings: Settings,
    form: str,
    dump: Path | None,
    regions: Sequence[str],
    removed: Sequence[str],
    changes: Path | None,
) -> None:
    """`sidelight network scan`: its options are in dispatcher.cli.network.commands."""
    answers = _answers(settings, dump, regions)
    network = _changed(answers, removed, changes)
    findings = sorted(network.findings(), key=views.order)
    problems = network.problems
    if form == "json":
        write_json(dumps(views.findings_document(findings, problems)))
    else:
        views.show_findings(Report(sys.stdout), findings, problems)
    _end(answers)


def _answers(settings: Settings, dump: Path | None, regions: Sequence[str]) -> Answers:
    if dump is not None:
        answers = load_dump(dump)
        if not answers:
            raise DamagedError(answers.problems[0].what, where=answers.problems[0].where)
        return _chosen(answers, regions)
    from dispatcher.cli.network.collecting import collect

    return collect(settings, regions)


def _chosen(answers: Answers, regions: Sequence[str]) -> Answers:
    """Return the answers of these regions alone; of all without any."""
    if not regions:
        return answers
    kept = {place: lists for place, lists in answers.items() if place[1] in regions}
    if not kept:
        raise UsageError("the dump has no answers of this region", where=", ".join(regions))
    return Answers(kept, answers.problems)


def _changed(answers: Answers, removed: Sequence[str], changes: Path | None) -> Network:
    network = Network.from_answers(answers)
    if changes is not None:
        network = network.with_changes(read_changes(changes, answers))
    return network.without(removed) if removed else network


def _end(answers: Answers) -> None:
    """Report what could not be read, and exit."""
    for problem in answers.problems:
        complain(f"sidelight: {problem.where}: {problem.what}")
    sys.exit(PARTIAL if answers.problems else DONE)
