"""`sidelight probe` in a strict local cloud, whose clock it moves: no test waits."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from sidelight.aws.probe import Measures, Probe, ProbeOptions, ProbeOutcome, estimate, measure
from sidelight.aws.recycle_bin import keeps
from sidelight.localcloud.conditions import STRICT, Conditions, Lag
from sidelight.localcloud.faults import FaultKind, FaultPlan, Rule
from sidelight.localcloud.recorded import conditions_of
from sidelight.localcloud.server import LocalCloud
from tests.fixtures.document_schemas import conform
from tests.fixtures.local_clouds import noise, write_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


pytestmark = pytest.mark.services

ACCOUNT, OTHER = "123456789012", "999999999999"
MARK = "InspectorScan"
# Throttles and empty pages would make two probes differ by chance.
CALM = replace(STRICT, throttle_rate=0.0, empty_pages=0.0).scaled(1 / 4)


class World:
    """A local cloud and a probe of it; a second of the probe is a second of the cloud."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.messages: list[str] = []
        self.interrupt_after = 10**9
        self.slept = 0

    def sleep(self, seconds: float) -> None:
        self.slept += 1
        self.cloud.clock.advance(seconds)
        if self.slept == self.interrupt_after:
            raise KeyboardInterrupt

    def probe(self, **options: Any) -> Probe:
        probe_options = ProbeOptions(
            region="us-east-1", tags={"SidelightDeployment": "probe"}, mark=MARK, **options
        )
        return Probe(
            probe_options, say=self.messages.append, clock=self.cloud.clock.now, sleep=self.sleep
        )

    def run(self, **options: Any) -> ProbeOutcome:
        probe = self.probe(**options)
        probe.estimate()
        outcome = probe.run()
        probe.record(outcome, "0")
        for line in outcome.lines:
            conform("probe-recording", json.loads(line))
        return outcome


@pytest.fixture
def make_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., World]]:
    started: list[LocalCloud] = []

    def make(**options: Any) -> World:
        while started:
            started.pop().stop()
        cloud = LocalCloud(tmp_path / "cloud", **{"conditions": CALM, **options}).start()
        started.append(cloud)
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        return World(cloud)

    yield make
    for cloud in started:
        cloud.stop()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    write_blocks(path, 1 << 30, {0: noise(1)})
    return path


def left(world: World) -> tuple[list[str], list[str]]:
    """Snapshots and volumes that exist, the instances' own excepted."""
    import boto3

    make: Any = boto3.client
    volumes = make("ec2").describe_volumes()["Volumes"]
    return world.cloud.snapshots(), [v["VolumeId"] for v in volumes if not v["Attachments"]]


def close_to(first: list[float], second: list[float]) -> bool:
    """Whether lags of another draw lie where the first ones do: a look a second is a second off."""
    return min(second) >= min(first) - 2.5 and max(second) <= max(first) + 2.5


@pytest.mark.slow
def test_a_recording_replayed_is_recorded_again(
    make_world: Callable[..., World], image: Path, tmp_path: Path
) -> None:
    world = make_world(seed=5)
    web = world.cloud.add_instance("web", [image])
    bare = world.cloud.add_instance("bare", [])
    gone = world.cloud.add_instance("gone", [image], state="terminated")
    outcome = world.run(instance=web, refused=(bare, gone))
    assert (outcome.left, outcome.failures) == ([], [])
    assert left(world) == ([], [])
    path = tmp_path / "probe.jsonl"
    path.write_text("\n".join(outcome.lines) + "\n")
    first = measure(outcome.lines)
    assert first.completion
    assert max(first.absent) > 1
    assert max(first.denied) > 1
    assert {refusal.status for refusal in first.late} == {403, 404}
    assert all("::{account}:" in refusal.message for refusal in first.late if refusal.status == 403)
    assert set(first.texts) == {"SnapshotCreationPerVolumeRateExceeded"}
    assert (first.lists_deleted, first.recycle_days) == (True, 7)

    again = make_world(conditions=conditions_of(path, CALM), seed=6)
    web = again.cloud.add_instance("web", [image])
    second = measure(again.run(instance=web).lines)
    compare(first, second)


def compare(first: Measures, second: Measures) -> None:
    assert abs(first.completion[0] - second.completion[0]) <= 2.5
    for name in ("describe", "absent", "denied"):
        assert close_to(getattr(first, name), getattr(second, name)), name
    assert {refusal.kind for refusal in second.late} == {refusal.kind for refusal in first.late}
    assert {refusal.kind for refusal in second.pending} <= {
        refusal.kind for refusal in first.pending
    }
    assert second.pending
    assert second.texts == first.texts
    assert second.lists_deleted == first.lists_deleted
    assert second.recycle_days == first.recycle_days


@pytest.mark.slow
def test_nothing_in_the_recording_names_the_account(
    make_world: Callable[..., World], image: Path
) -> None:
    world = make_world()
    web = world.cloud.add_instance("web", [image], tags={"Name": "payroll-server"})
    probe = world.probe(instance=web)
    probe.estimate()
    outcome = probe.run()
    probe.record(outcome, "0")
    text = "\n".join(outcome.lines)
    created_ids = [item.id for item in probe.ground.created]
    assert created_ids
    originals = [ACCOUNT, web, probe.ground.tags[MARK], "payroll", *created_ids]
    originals += world.cloud.volumes(web).values()
    tokens = [
        str(block["BlockToken"])
        for exchange in probe.ground.recorder.exchanges
        for block in exchange.answer.get("Blocks", ())
    ]
    assert tokens
    for original in originals + tokens:
        assert original not in text
    # The same thing has the same other name everywhere.
    first = json.loads(next(line for line in outcome.lines if "ec2:CreateSnapshot" in line))
    renamed = first["answer"]["SnapshotId"]
    assert sum(renamed in line for line in outcome.lines) > 5


@pytest.mark.parametrize("moment", [1, 5, 40, 60, 75])
def test_ctrl_c_at_any_time_leaves_nothing(make_world: Callable[..., World], moment: int) -> None:
    world = make_world()
    world.interrupt_after = moment
    outcome = world.run()
    assert outcome.interrupted
    assert (outcome.left, outcome.failures) == ([], [])
    assert left(world) == ([], [])


@pytest.mark.parametrize("operation", ["CreateSnapshot", "CreateVolume", "ListSnapshotBlocks"])
def test_an_error_on_the_way_leaves_nothing(
    make_world: Callable[..., World], operation: str
) -> None:
    world = make_world()
    world.cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, operation=operation)])
    outcome = world.run(patience=60.0)
    assert outcome.left == []
    assert left(world) == ([], [])


@pytest.mark.parametrize("operation", ["CreateSnapshot", "CreateVolume"])
def test_what_was_made_by_a_call_whose_answer_was_lost_is_deleted(
    make_world: Callable[..., World], operation: str
) -> None:
    world = make_world()
    world.cloud.plan = FaultPlan([Rule(FaultKind.LOST_ANSWER, operation=operation, nth=(1,))])
    outcome = world.run()
    assert outcome.left == []
    assert left(world) == ([], [])


@pytest.mark.slow
def test_what_cannot_be_deleted_is_listed(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.cloud.plan = FaultPlan([Rule(FaultKind.ACCESS_DENIED, operation="DeleteVolume")])
    outcome = world.run()
    assert len(outcome.left) == 1
    assert outcome.left[0].startswith("vol-")


def test_a_snapshot_that_only_carries_our_tags_is_not_deleted(
    make_world: Callable[..., World],
) -> None:
    import boto3

    world = make_world(conditions=Conditions())
    make: Any = boto3.client
    ec2 = make("ec2")
    volume = ec2.create_volume(Size=2, AvailabilityZone="us-east-1a")["VolumeId"]
    foreign = ec2.create_snapshot(VolumeId=volume, Description="a backup")["SnapshotId"]
    probe = world.probe()
    tags = [{"Key": key, "Value": value} for key, value in probe.ground.tags.items()]
    ec2.create_tags(Resources=[foreign], Tags=tags)
    assert probe.run().left == []
    assert world.cloud.snapshots() == [foreign]


@pytest.mark.slow
def test_the_limit_of_pending_snapshots_is_met_and_recorded(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    # AWS's hundred would be a hundred volumes: here four are as many.
    monkeypatch.setattr("sidelight.aws.probe.steps.LIMIT", 5)
    world = make_world(conditions=replace(CALM, snapshot_limit=4, snapshot_seconds=300.0))
    outcome = world.run(limits=True)
    assert outcome.left == []
    assert measure(outcome.lines).texts["PendingSnapshotLimitExceeded"] == (
        "Maximum allowed active snapshot limit exceeded."
    )


@pytest.fixture
def other_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An AWS profile of another account."""
    config = tmp_path / "credentials"
    config.write_text(f"[elsewhere]\naws_access_key_id={OTHER}\naws_secret_access_key=x\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(config))
    return "elsewhere"


@pytest.mark.slow
def test_a_share_and_a_grant_are_measured_and_taken_back(
    make_world: Callable[..., World], other_profile: str
) -> None:
    import boto3

    world = make_world(conditions=replace(CALM, share_lag=Lag(values=(12.0,)), recycle_days=0))
    make: Any = boto3.client
    kms = make("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    outcome = world.run(reader_profile=other_profile, key=key)
    assert (outcome.left, outcome.failures) == ([], [])
    assert left(world) == ([], [])
    found = measure(outcome.lines)
    assert len(found.shared) == 2
    assert all(abs(seconds - 12) <= 2.5 for seconds in found.shared)
    assert kms.list_grants(KeyId=key)["Grants"] == []
    assert world.cloud.calls("CreateGrant") == 1
    text = "\n".join(outcome.lines)
    for original in (OTHER, other_profile, key.rpartition("/")[2]):
        assert original not in text


def test_throttles_are_not_taken_for_lags(make_world: Callable[..., World]) -> None:
    world = make_world(conditions=Conditions(snapshot_seconds=10, throttle_rate=0.3), seed=2)
    outcome = world.run()
    assert outcome.left == []
    found = measure(outcome.lines)
    assert found.late == [], "with or without a reason, and a quota of a dependency"
    assert max(found.absent) < 3


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (402, "ServiceQuotaExceededException"), (400, "SlowDown"), (503, "ServiceUnavailable"),
        (0, "ConnectionClosedError"),
    ],
)  # fmt: skip
def test_an_answer_that_says_nothing_of_a_snapshot_ends_no_lag(
    make_world: Callable[..., World], status: int, code: str
) -> None:
    """It is neither a refusal nor the end of one."""
    conditions = Conditions(snapshot_seconds=10, ebs_lag=Lag(values=(8.0,)))
    outcome = make_world(conditions=conditions, seed=2).run()
    lag = measure(outcome.lines).absent
    lines = []
    for line in outcome.lines:
        document = json.loads(line)
        refused = document.get("error", {}).get("code") == "ResourceNotFoundException"
        lines.append(line)
        if refused and document["operation"].startswith("ebs:"):
            error = {"code": code, "message": "no"}
            later = document["at"] + 0.01
            lines.append(json.dumps(document | {"status": status, "error": error, "at": later}))
    changed = measure(lines)
    assert changed.absent == pytest.approx(lag)
    assert {refusal.status for refusal in changed.late} == {404}


def test_the_cost_is_stated_with_what_a_recycle_bin_keeps(
    make_world: Callable[..., World], image: Path
) -> None:
    world = make_world()
    web = world.cloud.add_instance("web", [image], volume_sizes={"/dev/sda1": 3000})
    small = world.probe().estimate()
    assert 0 < small.usd < 0.2
    assert small.kept_usd > 0  # the rule of the strict cloud
    assert world.probe(instance=web).estimate().usd > 1
    assert estimate(volumes=102, snapshot_gib=408, minutes=80, recycle_days=0).usd < 1


OWN_TAGS = {"SidelightDeployment": "probe", MARK: "0" * 32}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({}, True),
        ({"ExcludeResourceTags": [{"ResourceTagKey": "SidelightDeployment"}]}, False),
        (
            {"ExcludeResourceTags": [
                {"ResourceTagKey": "SidelightDeployment", "ResourceTagValue": "other"}
            ]},
            True,
        ),
        ({"ResourceTags": [{"ResourceTagKey": "team"}]}, False),
        ({"ResourceTags": [{"ResourceTagKey": MARK}]}, True),
    ],
)  # fmt: skip
def test_a_rule_that_excludes_our_tags_keeps_nothing_of_ours(
    rule: dict[str, Any], expected: bool
) -> None:
    assert keeps(rule, OWN_TAGS) is expected
