"""Answers that AWS's references allow and that no recording has: what becomes of a scan.

A scan's own stages call the real `Ec2` and `SnapshotBlocks` on `tests/fakes/unkind_aws.py`. However
a scan ends, no snapshot of its own is left, a stranger's is, and what was not read is not clean.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from dispatcher.enqueue import enqueue
from sidelight.fleet.stages import take_snapshots
from sidelight.model import Keeper, State
from tests.fakes.unkind_aws import Refusal, UnkindAws, scan_by
from tests.fleet.stages.unkind_answers import LASTING, PASSING

if TYPE_CHECKING:
    from tests.fakes.fake_fleet import FakeFleet


OUR_TAGS = {"SidelightDeployment": "here", "InspectorScan": "0" * 32}


class Life:
    """A fleet of one machine of two disks, in an AWS with two snapshots of strangers."""

    def __init__(self, fleet: FakeFleet) -> None:
        self.fleet = fleet
        self.aws: UnkindAws = scan_by(fleet)
        self.strangers = {
            self.aws.put("vol-s", "theirs", OUR_TAGS), self.aws.put("vol-0-1", "nightly", {}),
        }  # fmt: skip

    def run(self) -> None:
        """Scan the machine to the end of its scan."""
        self.fleet.start()
        self.fleet.run()

    def begin(self, state: State) -> None:
        """Scan until the scan is in this state."""
        self.fleet.start()
        while self.fleet.only_scan().state is not state:
            self.fleet.run_one()

    @property
    def state(self) -> State:
        return self.fleet.only_scan().state

    @property
    def coverage(self) -> tuple[str, str]:
        covered = self.fleet.store.instances.coverage()[0]
        return covered.status_code, covered.reason

    @property
    def own(self) -> set[str]:
        """Our snapshots that exist."""
        return set(self.aws.snapshots) - self.strangers

    def check(self) -> None:
        """Nothing of ours is left, all of the strangers' is, and DONE means that all was read."""
        assert not self.own
        assert self.strangers <= set(self.aws.snapshots)
        if self.state is State.DONE:
            assert len(self.fleet.findings()) == 4
        else:
            assert (self.state, self.coverage[0]) == (State.FAILED, "INACTIVE")
        assert not self.fleet.sweep().orphans


@pytest.fixture
def life(fake_fleet: FakeFleet) -> Life:
    return Life(fake_fleet)


@pytest.mark.slow
@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize(("call", "code", "status", "reason"), PASSING)
def test_an_answer_that_may_pass_costs_time_alone(  # noqa: PLR0917 - a row of a table
    life: Life, call: str, code: str, status: int, reason: str, after: int
) -> None:
    """At a stage's first call, and at its second."""
    life.aws.refusals.append(Refusal(call, code, status, reason, after=after, times=1))
    life.run()
    assert life.state is State.DONE
    assert life.coverage == ("ACTIVE", "SUCCESSFUL")
    life.check()


@pytest.mark.slow
@pytest.mark.parametrize(("call", "code", "status", "reason", "reported"), LASTING)
def test_an_answer_that_lasts_ends_the_scan_with_its_reason(  # noqa: PLR0917 - a row
    life: Life, call: str, code: str, status: int, reason: str, reported: str
) -> None:
    life.aws.refusals.append(Refusal(call, code, status, reason))
    life.run()
    assert life.coverage == ("INACTIVE", reported)
    life.check()


@pytest.mark.slow
@pytest.mark.parametrize(
    "call", ["create_snapshots", "describe_snapshots", "delete_snapshot", "list_snapshot_blocks"]
)
@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_call_whose_answer_is_lost_is_found_by_what_it_did(
    life: Life, call: str, after: int
) -> None:
    life.aws.refusals.append(Refusal(call, lost=True, after=after, times=1))
    life.run()
    assert life.state is State.DONE
    life.check()


def test_snapshots_of_a_lost_answer_that_are_listed_late_are_deleted_by_their_scan(
    life: Life,
) -> None:
    """After the last attempt nobody asks any more which snapshots it made."""
    life.aws.lag = 40.0
    attempts = life.fleet.context.settings.retries.attempts
    life.aws.refusals.append(Refusal("create_snapshots", "InternalError", 500, times=attempts - 1))
    life.aws.refusals.append(Refusal("create_snapshots", lost=True, times=1))
    life.run()
    assert life.state is State.FAILED
    life.check()


# CreateSnapshots


def test_a_volume_that_create_snapshots_leaves_out_is_not_clean(life: Life) -> None:
    life.aws.left_out = {"vol-0-1"}
    life.run()
    assert life.state is State.DONE
    assert life.coverage == ("ACTIVE", "PARTIAL")
    detail = life.fleet.store.instances.coverage()[0].detail
    assert "it is attached, and EC2 made no snapshot of it (vol-0-1)" in detail
    assert not life.own


def test_a_volume_that_is_left_out_while_ec2_cannot_be_asked_is_not_clean(life: Life) -> None:
    life.aws.left_out = {"vol-0-1"}
    life.aws.refusals.append(Refusal("describe_instances", "UnauthorizedOperation", 403))
    life.run()
    assert life.coverage == ("ACTIVE", "PARTIAL")
    assert not life.own


def test_a_volume_that_was_detached_before_is_no_problem(life: Life) -> None:
    life.aws.volumes[life.fleet.instances[0].id].remove("vol-0-1")
    life.run()
    assert life.coverage == ("ACTIVE", "SUCCESSFUL")
    assert not life.own


@pytest.mark.parametrize("answer", [{"Snapshots": []}, {}])
def test_an_answer_that_names_no_snapshot_is_not_believed_of_an_instance_with_volumes(
    life: Life, answer: dict[str, Any]
) -> None:
    life.aws.spoil = lambda call, full: answer if call == "create_snapshots" else full
    life.run()
    assert life.state is State.DONE, "the snapshots were found by their tags"
    life.check()


def test_a_created_snapshot_without_its_volume_is_found_again_by_its_tags(life: Life) -> None:
    """Its row would have a volume that is not its own, and it would never be deleted."""

    def spoil(call: str, answer: Any) -> Any:
        if call == "create_snapshots":
            for item in answer["Snapshots"]:
                del item["VolumeId"]
        return answer

    life.aws.spoil = spoil
    life.run()
    assert life.state is State.DONE
    life.check()


def test_a_snapshot_that_an_answer_names_twice_is_one(life: Life) -> None:
    def spoil(call: str, answer: Any) -> Any:
        if call == "create_snapshots":
            answer["Snapshots"] *= 2
        return answer

    life.aws.spoil = spoil
    life.run()
    assert life.state is State.DONE
    assert life.aws.calls.count("create_snapshots") == 1
    life.check()


# DescribeSnapshots


def test_a_page_that_names_one_snapshot_twice_is_not_two(life: Life) -> None:
    """Else a scan would begin to read while its other snapshot is pending."""
    life.begin(State.SNAPSHOTS_PENDING)
    life.fleet.clock.advance(30)
    both = sorted(life.own)
    assert [info.id for info in life.fleet.ec2.snapshots_by_id(both)] == both


def test_what_describe_shows_beside_what_was_asked_for_is_ignored(life: Life) -> None:
    life.aws.spoil = lambda call, answer: (
        {"Snapshots": [life.aws._described(one) for one in life.aws.snapshots.values()]}
        if call == "describe_snapshots"
        else answer
    )
    life.aws.broken["vol-x"] = "Given key ID is not accessible"
    stranger = life.aws.put("vol-x", "theirs", {}, message="Given key ID is not accessible")
    life.strangers.add(stranger)
    life.run()
    assert life.state is State.DONE
    life.check()


def test_a_new_snapshot_that_is_listed_minutes_later_is_waited_for(life: Life) -> None:
    life.aws.lag = 200.0
    life.run()
    assert life.state is State.DONE
    life.check()


def test_a_snapshot_that_is_never_listed_is_given_up_and_deleted(life: Life) -> None:
    life.begin(State.SNAPSHOTS_PENDING)
    began = life.fleet.clock()
    life.aws.hidden = {min(life.own)}
    life.fleet.run()
    assert "EC2 lists it no more" in life.fleet.only_scan().failure
    assert (life.fleet.clock() - began).total_seconds() < 900, "not after hours"
    life.check()


@pytest.mark.parametrize("state", ["error", "recovering"])
def test_a_snapshot_in_a_state_that_nothing_waits_for_ends_the_scan_with_ec2s_words(
    life: Life, state: str
) -> None:
    def spoil(call: str, answer: Any) -> Any:
        if call == "describe_snapshots":
            for item in answer.get("Snapshots", ()):
                if item["State"] == "completed":
                    item |= {"State": state, "StateMessage": "Internal failure"}
        return answer

    life.aws.spoil = spoil
    life.run()
    assert f"is in state {state}: Internal failure" in life.fleet.only_scan().failure
    life.aws.spoil = lambda _call, answer: answer
    life.check()


def test_a_snapshot_in_the_recycle_bin_is_deleted_whether_ec2_lists_it_or_not(life: Life) -> None:
    deleted = list[dict[str, Any]]()

    def spoil(call: str, answer: Any) -> Any:
        if call == "describe_snapshots":
            # The first page of each listing.
            return answer | {"Snapshots": [*answer["Snapshots"], *deleted]}
        return answer

    life.begin(State.DELETING)
    deleted += [
        life.aws._described(life.aws.snapshots[name]) | {"State": "recoverable"}
        for name in life.own
    ]
    life.aws.spoil = spoil
    life.fleet.run()
    assert life.state is State.DONE
    assert not life.fleet.sweep().orphans
    life.check()


# DeleteSnapshot


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["locked", "in_use"])
def test_a_snapshot_that_cannot_be_deleted_holds_up_no_other(life: Life, fault: str) -> None:
    life.begin(State.DELETING)
    first, second = sorted(life.own)
    setattr(life.aws.snapshots[first], fault, True)
    life.fleet.run_one()
    assert life.own == {first}, "at the first attempt"
    life.fleet.run()
    assert life.state is State.FAILED
    assert life.fleet.sweep().failed == (first,)
    setattr(life.aws.snapshots[first], fault, False)
    assert life.fleet.sweep().deleted == (first,)
    assert second not in life.aws.snapshots
    assert life.strangers <= set(life.aws.snapshots)


def test_pending_snapshots_that_are_listed_until_they_are_done_are_waited_for(life: Life) -> None:
    life.aws.deletes_late = True
    life.begin(State.SNAPSHOTS_PENDING)
    life.fleet.clock.advance(2)
    store = life.fleet.store.scans
    scan = store.claim(life.fleet.only_scan().id, {State.SNAPSHOTS_PENDING}, 60)
    assert scan is not None
    store.fail(scan, "ended while they are pending", "INTERNAL_ERROR")
    life.fleet.run()
    assert life.state is State.FAILED
    life.check()


# Credentials


@pytest.mark.parametrize(
    ("call", "code"),
    [("create_snapshots", "RequestExpired"), ("list_snapshot_blocks", "ExpiredTokenException")],
)
def test_credentials_of_a_worker_that_have_expired_deny_nothing(
    life: Life, call: str, code: str
) -> None:
    """Another worker may have its own, and these may be renewed."""
    life.aws.refusals.append(Refusal(call, code, 403, seconds=900.0))
    life.fleet.start()
    texts = set[str]()
    while life.state is not State.DONE:
        life.fleet.run_one()
        assert life.state is not State.FAILED
        texts.add(life.fleet.only_scan().last_error)
    assert any(text.startswith("waiting: ") and code in text for text in texts)
    life.check()


def test_a_commands_own_scan_does_not_wait_for_credentials(life: Life) -> None:
    """No other worker takes it over, and a person waits for its outcome."""
    keeper = Keeper.new(60.0)
    life.fleet.context = replace(life.fleet.context, keeper=keeper)
    life.aws.refusals.append(Refusal("create_snapshots", "RequestExpired", 403))
    (scan,) = enqueue(
        life.fleet.store, lambda *_: None, life.fleet.instances, "here", keeper=keeper
    )
    take_snapshots.take_snapshots(life.fleet.context, scan.id)
    assert (life.state, life.fleet.only_scan().failure_code) == (State.DELETING, "ACCESS_DENIED")
