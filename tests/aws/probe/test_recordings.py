"""A probe's recordings: what they never name, and files that are none."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.aws.probe import measure
from sidelight.aws.probe.anonymous import Anonymous
from sidelight.aws.probe.recorder import Exchange
from sidelight.errors import UsageError
from sidelight.localcloud.recorded import conditions_of

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.documents.probe import RecordingHead


pytestmark = pytest.mark.services

FIRST: RecordingHead = {
    "format": "sidelight-probe", "version": 1, "sidelight": "1.0", "region": "eu-west-1",
}  # fmt: skip


def exchange(message: str, **members: Any) -> Exchange:
    return Exchange(
        step="s", at=1.0, took=0.1, source="ec2", operation="ec2:X", code="E", message=message,
        request={}, status=400, **members,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "User: arn:aws:sts::111122223333:assumed-role/team/admin/jane is not authorized",
            "User: arn:aws:sts::100000000001:assumed-role/name-1/name-2/name-3 is not authorized",
        ),
        ("The snapshot 'snap-0123456789abcdef0' does not exist.",
         "The snapshot 'snap-00000000000000001' does not exist."),
        ("vol-12345678 of 111122223333 at 10.1.2.3",
         "vol-00000000000000001 of 100000000001 at 192.0.2.1"),
        ("no. Encoded authorization failure message: abc\ndef",
         "no. Encoded authorization failure message: removed"),
        ("key 0a1b2c3d-0000-1111-2222-0a1b2c3d4e5f, jane@example.org, RequestId: 77",
         "key 00000000-0000-0000-0000-a00000000001, mail-1, RequestId: removed"),
        ("key AKIAIOSFODNN7EXAMPLE and Payroll", "key access-key-1 and name-1"),
    ],
)  # fmt: skip
def test_messages_lose_what_names_anybody(message: str, expected: str) -> None:
    lines = Anonymous(["Payroll"]).lines([exchange(message)], FIRST, 0.0)
    assert json.loads(lines[1])["error"]["message"] == expected


def test_a_recording_that_still_names_something_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Anonymous, "text", lambda _, text: text)
    for message in ("111122223333", "snap-0123456789abcdef0", "10.1.2.3", "Payroll", "a@b.org"):
        with pytest.raises(UsageError, match="still names"):
            Anonymous(["Payroll"]).lines([exchange(message)], FIRST, 0.0)


HEAD = '{"format": "sidelight-probe", "version": 1}'
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["Snapshots", "Rules", "SnapshotId", "State", "SnapshotIds",
                                       "RetentionPeriod", "code", "message"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "step": st.sampled_from(["visibility", "pending deletion"]) | JSON,
                "at": st.floats() | st.integers(0, 50) | JSON,
                "took": st.floats(0, 1) | JSON,
                "source": st.sampled_from(["ebs-1", "other"]),
                "operation": st.sampled_from(
                    ["ec2:CreateSnapshots", "ec2:CreateSnapshot", "ec2:DescribeSnapshots",
                     "ebs:ListSnapshotBlocks", "rbin:ListRules", "ec2:ModifySnapshotAttribute"]
                ),
                "status": st.sampled_from([200, 400, 404]) | JSON,
                "request": JSON,
                "answer": JSON,
                "error": JSON,
            }
        ),
        max_size=5,
    )
)  # fmt: skip
def test_whatever_a_recording_holds_it_is_measured_or_a_usage_error(documents: list[Any]) -> None:
    with contextlib.suppress(UsageError):
        measure([HEAD, *(json.dumps(document) for document in documents)])


@pytest.mark.parametrize(
    "line",
    [
        "", "[]", "{", '{"format": "other", "version": 1}', "null", '{"format": "sidelight-probe"}',
        "[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_not_a_recording_is_a_usage_error_with_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(UsageError, match="line 1"):
        conditions_of(path)
    path.write_text(f"{HEAD}\n{line}\n")
    with pytest.raises(UsageError, match="line 2"):
        conditions_of(path)
