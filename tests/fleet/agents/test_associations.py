"""What agent-based scanning makes in an account: made once, verified, adopted, removed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidelight.aws.session import Session
from sidelight.aws.ssm.associations import (
    INVALID_SYNC,
    AssociationInfo,
    DataSyncInfo,
    StateManager,
)
from sidelight.errors import AccessDeniedError, CloudError
from sidelight.fleet.agents.association_manager import NO_SYNC, ensure, preview, remove
from sidelight.fleet.agents.associations_plan import (
    COLLECTION,
    DATA_SYNC,
    DOCUMENT,
    INSPECTOR,
    OWN,
    PARAMETERS,
    SyncTarget,
)
from sidelight.localcloud.server import LocalCloud

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.aws.ssm.associations import AssociationSpec

TARGET = SyncTarget("the-fleets-bucket", "us-east-1", "sidelight")
INSPECTORS_SYNC = DataSyncInfo(INSPECTOR + DATA_SYNC, "inspectors-own-bucket")


@dataclass
class Account:
    """Associations and data syncs of an account and Region, in memory."""

    known: dict[str, AssociationInfo] = field(default_factory=dict)
    syncs: dict[str, DataSyncInfo] = field(default_factory=dict)
    kept: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    quota: int = 5
    created_count: int = 0
    denied: str = ""
    is_bucket_closed: bool = False

    def _check(self, call: str) -> None:
        if call == self.denied:
            raise AccessDeniedError("AccessDenied", where=f"ssm {call}")

    def associations(self) -> list[AssociationInfo]:
        self._check("associations")
        return list(self.known.values())

    def create(self, spec: AssociationSpec) -> str:
        self._check("create")
        self.created_count += 1
        number = f"a-{self.created_count}"
        self.known[number] = AssociationInfo(
            number, spec.document, spec.name, ("*",), spec.schedule
        )
        self.kept[number] = {name: list(values) for name, values in spec.parameters.items()}
        return number

    def update(self, association_id: str, spec: AssociationSpec) -> None:
        self.known[association_id] = replace(self.known[association_id], schedule=spec.schedule)
        self.kept[association_id] = {name: list(v) for name, v in spec.parameters.items()}

    def parameters(self, association_id: str) -> dict[str, list[str]]:
        return self.kept.get(association_id, {})

    def delete(self, association_id: str) -> None:
        self._check("delete")
        self.known.pop(association_id, None)

    def data_syncs(self) -> list[DataSyncInfo]:
        return list(self.syncs.values())

    def create_data_sync(self, name: str, bucket: str, bucket_region: str, prefix: str) -> bool:
        assert bucket_region
        if self.is_bucket_closed:
            raise CloudError("The bucket policy is wrong", code=INVALID_SYNC)
        if len(self.syncs) >= self.quota:
            return False
        self.syncs[name] = DataSyncInfo(name, bucket, prefix)
        return True

    def delete_data_sync(self, name: str) -> None:
        self.syncs.pop(name, None)


def gathering(number: str, name: str = "", *instances: str) -> AssociationInfo:
    return AssociationInfo(number, DOCUMENT, name, instances or ("*",))


def test_an_account_without_anything_gets_inspectors_names() -> None:
    account = Account()

    report = ensure(account, TARGET)

    assert report.created == (INSPECTOR + COLLECTION, INSPECTOR + DATA_SYNC)
    assert (report.has_sync, report.reason) == (True, "")
    assert account.kept["a-1"]["windowsRegistry"][0].count("UBR") == 1


def test_a_second_call_changes_nothing_and_a_deleted_association_is_made_again() -> None:
    account = Account()
    ensure(account, TARGET)
    assert ensure(account, TARGET).created == ()

    account.known.clear()

    assert ensure(account, TARGET).created == (INSPECTOR + COLLECTION,)


def test_an_association_that_somebody_changed_collects_again_what_is_needed() -> None:
    account = Account()
    ensure(account, TARGET)
    account.kept["a-1"]["applications"] = ["Disabled"]

    report = ensure(account, TARGET)

    assert report.created == (INSPECTOR + COLLECTION,)
    assert account.kept["a-1"]["applications"] == list(PARAMETERS["applications"])


def test_a_schedule_that_somebody_chose_is_kept() -> None:
    account = Account()
    ensure(account, TARGET)
    account.known["a-1"] = replace(account.known["a-1"], schedule="cron(0 3 ? * * *)")
    account.kept["a-1"]["applications"] = ["Disabled"]

    ensure(account, TARGET)

    assert account.known["a-1"].schedule == "cron(0 3 ? * * *)"


def test_the_accounts_own_association_on_all_instances_is_adopted_and_stays() -> None:
    account = Account({"theirs": gathering("theirs", "corporate-inventory")})

    report = ensure(account, TARGET)
    removed = remove(account, TARGET)

    assert report.adopted == "theirs"
    assert report.created == (INSPECTOR + DATA_SYNC,)
    assert removed.deleted == (INSPECTOR + DATA_SYNC,)
    assert account.known.keys() == {"theirs"}


def test_an_association_on_some_instances_is_not_adopted() -> None:
    account = Account({"some": gathering("some", "corporate-inventory", "i-1", "i-2")})

    assert ensure(account, TARGET).created[0] == INSPECTOR + COLLECTION


def test_where_inspector_scans_its_names_are_never_touched() -> None:
    inspector_association = gathering("theirs", INSPECTOR + COLLECTION)
    account = Account({"theirs": inspector_association}, {INSPECTORS_SYNC.name: INSPECTORS_SYNC})

    report = ensure(account, TARGET)
    remove(account, TARGET)

    assert report.adopted == "theirs"
    assert report.created == (OWN + DATA_SYNC,)
    assert account.known == {"theirs": inspector_association}
    assert account.syncs == {INSPECTORS_SYNC.name: INSPECTORS_SYNC}


def test_a_full_quota_of_data_syncs_is_a_reason_with_a_remedy() -> None:
    others = {f"s{n}": DataSyncInfo(f"s{n}", "elsewhere") for n in range(5)}
    account = Account(syncs=others)

    report = ensure(account, TARGET)

    assert (report.reason, report.has_sync) == (NO_SYNC, False)
    assert "delete one" in report.detail
    assert report.created == (INSPECTOR + COLLECTION,)


def test_a_data_sync_below_another_prefix_serves_nobody_and_is_left_alone() -> None:
    elsewhere = DataSyncInfo(INSPECTOR + DATA_SYNC, TARGET.bucket, "another-deployment")
    account = Account(syncs={elsewhere.name: elsewhere})

    report = ensure(account, TARGET)

    assert report.has_sync
    assert account.syncs == {
        elsewhere.name: elsewhere,
        OWN + DATA_SYNC: DataSyncInfo(OWN + DATA_SYNC, TARGET.bucket, TARGET.prefix),
    }
    assert ensure(account, TARGET).created == ()


def test_where_no_name_is_free_for_a_data_sync_the_reason_says_which_to_delete() -> None:
    names = (INSPECTOR + DATA_SYNC, OWN + DATA_SYNC)
    others = {name: DataSyncInfo(name, TARGET.bucket, f"of {name}") for name in names}
    account = Account(syncs=dict(others))

    report = ensure(account, TARGET)

    assert (report.has_sync, report.reason) == (False, "INTERNAL_ERROR")
    assert "below other prefixes" in report.detail
    assert account.syncs == others


def test_a_slash_around_the_prefix_makes_no_second_data_sync() -> None:
    sync = DataSyncInfo("of-the-account", TARGET.bucket, f"{TARGET.prefix}/")
    account = Account(syncs={sync.name: sync})

    assert ensure(account, TARGET).has_sync
    assert list(account.syncs) == [sync.name]


def test_a_data_sync_that_fails_is_a_reason_and_the_bucket_is_not_read() -> None:
    account = Account()
    ensure(account, TARGET)
    (sync,) = account.syncs.values()
    account.syncs[sync.name] = replace(sync, status="Failed", message="The bucket does not exist.")

    report = ensure(account, TARGET)

    assert (report.has_sync, report.reason) == (False, "INTERNAL_ERROR")
    assert f"{sync.name} failed: The bucket does not exist." in report.detail
    account.syncs[sync.name] = replace(sync, status="Successful")
    assert ensure(account, TARGET).has_sync


def test_a_bucket_that_refuses_data_syncs_is_a_reason_and_the_association_is_made() -> None:
    account = Account(is_bucket_closed=True)

    report = ensure(account, TARGET)

    assert (report.has_sync, report.reason) == (False, "INTERNAL_ERROR")
    assert "let ssm.amazonaws.com write" in report.detail
    assert report.created == (INSPECTOR + COLLECTION,)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"applications": ["Disabled"]}, "NO_INVENTORY"),
        ({"applications": ["Enabled"]}, ""),
        ({}, ""),  # Enabled is the document's own default
    ],
)
def test_an_adopted_association_that_collects_no_software_is_a_reason(
    parameters: dict[str, list[str]], reason: str
) -> None:
    account = Account(known={"a-own": gathering("a-own")}, kept={"a-own": parameters})

    report = ensure(account, TARGET)

    assert (report.adopted, report.reason) == ("a-own", reason)
    assert ("a-own collects no applications" in report.detail) is bool(reason)
    assert account.kept == {"a-own": parameters}, "it is the account's"


def test_without_a_bucket_no_data_sync_is_made() -> None:
    report = ensure(Account(), SyncTarget("", ""))

    assert report.created == (INSPECTOR + COLLECTION,)
    assert "ListInventoryEntries" in report.detail


@pytest.mark.parametrize("call", ["associations", "create"])
def test_a_denied_call_is_a_reason_that_names_it(call: str) -> None:
    report = ensure(Account(denied=call), TARGET)

    assert report.reason == "ACCESS_DENIED"
    assert call in report.detail


def test_removal_goes_on_after_a_failure_and_reports_it() -> None:
    account = Account()
    ensure(account, TARGET)
    account.denied = "delete"

    with pytest.raises(AccessDeniedError):
        remove(account, TARGET)

    assert not account.syncs


def test_a_preview_changes_nothing() -> None:
    account = Account()

    wanted = preview(account, TARGET)

    assert wanted.changes
    assert wanted.create is not None
    assert not account.known
    assert not account.syncs


names = st.sampled_from(["", "corporate", INSPECTOR + COLLECTION, OWN + COLLECTION])
infos = st.builds(
    AssociationInfo,
    id=st.uuids().map(str),
    document=st.sampled_from([DOCUMENT, "AWS-RunPatchBaseline"]),
    name=names,
    instances=st.sampled_from([("*",), ("i-1",), ()]),
)
syncs = st.builds(
    DataSyncInfo,
    name=st.sampled_from([INSPECTOR + DATA_SYNC, OWN + DATA_SYNC, "corporate"]),
    bucket=st.sampled_from([TARGET.bucket, "elsewhere"]),
)


@given(st.lists(infos, max_size=5), st.lists(syncs, max_size=3))
def test_whatever_is_there_one_call_suffices_and_removal_leaves_what_is_others(
    before: list[AssociationInfo], before_syncs: list[DataSyncInfo]
) -> None:
    account = Account(
        {item.id: item for item in before}, {item.name: item for item in before_syncs}
    )
    others = {
        item.id for item in before if item.name not in {INSPECTOR + COLLECTION, OWN + COLLECTION}
    }

    ensure(account, TARGET)

    assert not replace(preview(account, TARGET), sync="").changes
    assert any(
        item.document == DOCUMENT and "*" in item.instances for item in account.associations()
    )
    remove(account, TARGET)
    assert others <= account.known.keys()
    assert not any(
        sync.bucket == TARGET.bucket and sync.name != "corporate" for sync in account.data_syncs()
    )


@pytest.mark.services
def test_nothing_is_left_in_a_real_account_after_removal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LocalCloud(tmp_path / "cloud") as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        Session().client("s3").create_bucket(Bucket=TARGET.bucket)
        calls = StateManager(Session(), "123456789012", "us-east-1")

        report = ensure(calls, TARGET)
        again = ensure(calls, TARGET)
        removed = remove(calls, TARGET)

        assert report.created == (INSPECTOR + COLLECTION, INSPECTOR + DATA_SYNC)
        assert again.created == ()
        assert len(removed.deleted) == 2
        assert calls.associations() == []
        assert calls.data_syncs() == []


def test_a_failed_call_is_raised_and_tried_at_the_next_interval() -> None:
    class Failing(Account):
        def create(self, spec: AssociationSpec) -> str:
            raise CloudError("InternalServerError", where=spec.name)

    with pytest.raises(CloudError):
        ensure(Failing(), TARGET)
