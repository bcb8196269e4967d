"""A local cloud as late, and in the same words, as a recording of `sidelight probe` says.

What the recording does not say is as in the strict profile.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sidelight.aws.probe import measure
from sidelight.errors import UsageError
from sidelight.localcloud.conditions import STRICT, Conditions, EbsAnswer, Lag

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sidelight.aws.probe.measures import EbsRefusal


def conditions_of(path: Path, base: Conditions = STRICT) -> Conditions:
    """The limits and lags that a recording has. Raises UsageError."""
    try:
        with path.open(encoding="utf-8") as file:
            found = measure(file, where=str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot be read: {error}", where=str(path)) from error
    changed: dict[str, Any] = {
        name: Lag(values=tuple(values))
        for name, values in (
            ("describe_lag", found.describe),
            ("ebs_lag", found.absent),
            ("tag_lag", found.denied),
            ("share_lag", found.shared),
        )
        if values
    }
    if found.completion:
        # Of several snapshots the first is of the probe's own volume, of one GiB.
        changed["snapshot_seconds"] = found.completion[0]
    if found.pending:
        changed["pending_answers"] = _answers(found.pending)
    missing = [refusal for refusal in found.late if refusal.status == 404]
    if missing:
        changed["late_answer"] = _answers(missing[:1])[0]
    if found.lists_deleted is not None:
        changed["lists_deleted"] = found.lists_deleted
    if found.recycle_days is not None:
        changed["recycle_days"] = found.recycle_days
    return replace(base, texts={**base.texts, **found.texts}, **changed)


def _answers(found: Sequence[EbsRefusal]) -> tuple[EbsAnswer, ...]:
    return tuple(
        EbsAnswer(refusal.code, refusal.message, refusal.status, refusal.reason, refusal.since)
        for refusal in found
    )
