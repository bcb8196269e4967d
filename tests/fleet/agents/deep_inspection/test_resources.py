"""What deep inspection makes in an account: verified, set back, never another's, removed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from sidelight.aws.ssm.associations import AssociationDetails, AssociationInfo, DataSyncInfo
from sidelight.errors import AccessDeniedError, UsageError
from sidelight.fleet.agents.associations_plan import DATA_SYNC, INSPECTOR, SyncTarget
from sidelight.fleet.agents.deep_inspection.document import DOCUMENT_NAME, MARK, content, document
from sidelight.fleet.agents.deep_inspection.resources import (
    NAMES,
    NOT_NEEDED,
    SCHEDULE,
    DeepResources,
    posix_paths,
)
from sidelight.model import DeepLimits

if TYPE_CHECKING:
    from sidelight.aws.ssm.associations import AssociationSpec

TARGET = SyncTarget("the-fleets-bucket", "us-east-1", "sidelight")
INSPECTOR_NAME, OWN_NAME = NAMES


@dataclass
class Account:
    """Associations, data syncs and documents of an account and Region, in memory."""

    known: dict[str, AssociationInfo] = field(default_factory=dict)
    kept: dict[str, AssociationDetails] = field(default_factory=dict)
    syncs: list[DataSyncInfo] = field(default_factory=list)
    documents: dict[str, dict[str, object]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    denied: str = ""

    def call(self, name: str) -> None:
        self.calls.append(name)
        if name == self.denied:
            raise AccessDeniedError("AccessDenied", where=f"ssm {name}")

    def associations(self) -> list[AssociationInfo]:
        return list(self.known.values())

    def data_syncs(self) -> list[DataSyncInfo]:
        return self.syncs

    def create_association(self, spec: AssociationSpec) -> str:
        self.call("create_association")
        number = f"a-{len(self.known)}"
        self.known[number] = AssociationInfo(
            number, spec.document, spec.name, ("*",), spec.schedule
        )
        self.kept[number] = AssociationDetails(spec.parameters, spec.output)
        return number

    def update_association(self, number: str, spec: AssociationSpec) -> None:
        self.call("update_association")
        self.known[number] = replace(self.known[number], schedule=spec.schedule)
        self.kept[number] = AssociationDetails(spec.parameters, spec.output)

    def details(self, number: str) -> AssociationDetails:
        return self.kept[number]

    def delete_association(self, number: str) -> None:
        self.call("delete_association")
        del self.known[number]


@dataclass
class Calls:
    """Both ports over one account."""

    account: Account

    def associations(self) -> list[AssociationInfo]:
        return self.account.associations()

    def data_syncs(self) -> list[DataSyncInfo]:
        return self.account.data_syncs()

    def details(self, association_id: str) -> AssociationDetails:
        return self.account.details(association_id)

    def create(self, spec: AssociationSpec) -> str:
        return self.account.create_association(spec)

    def update(self, association_id: str, spec: AssociationSpec) -> None:
        self.account.update_association(association_id, spec)

    def delete(self, association_id: str) -> None:
        self.account.delete_association(association_id)


@dataclass
class DocumentsOf:
    account: Account

    def content(self, name: str) -> dict[str, object] | None:
        self.account.call("get_document")
        return self.account.documents.get(name)

    def create(self, name: str, text: str) -> None:
        self.account.call("create_document")
        assert text == document()
        self.account.documents[name] = content()

    def update(self, name: str, text: str) -> None:
        self.account.call("update_document")
        assert text == document()
        self.account.documents[name] = content()

    def delete(self, name: str) -> None:
        self.account.call("delete_document")
        del self.account.documents[name]


def of(account: Account, limits: DeepLimits | None = None) -> DeepResources:
    documents = DocumentsOf(account)
    return DeepResources(
        Calls(account), documents, TARGET, "123456789012", "eu-west-1", limits or DeepLimits()
    )


def test_one_document_and_one_association_are_made_under_inspectors_name() -> None:
    account = Account()

    report = of(account).ensure(["/opt/my app", r"C:\Programs"])

    assert report.created == (DOCUMENT_NAME, INSPECTOR_NAME)
    assert report.detail == ""
    (association,) = account.known.values()
    assert (association.document, association.schedule) == (DOCUMENT_NAME, SCHEDULE)
    details = account.kept[association.id]
    paths = "/usr/lib:/usr/lib64:/usr/local/lib:/usr/local/lib64:/opt/my app"
    assert details.parameters["paths"] == (paths,)
    assert details.output is not None
    assert details.output.prefix == "sidelight/deep-inspection/123456789012/eu-west-1"
    assert not set(NOT_NEEDED) & {item.name for item in account.known.values()}


def test_a_second_round_changes_nothing_and_what_was_deleted_is_made_again() -> None:
    account = Account()
    of(account).ensure([])
    account.calls.clear()

    assert of(account).ensure([]).created == ()
    assert account.calls == ["get_document"]

    account.known.clear()
    account.documents.clear()
    assert of(account).ensure([]).created == (DOCUMENT_NAME, INSPECTOR_NAME)


def test_what_somebody_changed_is_set_back_but_for_the_schedule() -> None:
    account = Account()
    of(account).ensure([])
    (number,) = account.known
    account.known[number] = replace(account.known[number], schedule="rate(1 day)")
    account.kept[number] = replace(account.kept[number], output=None)
    account.documents[DOCUMENT_NAME] = {**content(), "mainSteps": []}

    report = of(account).ensure([])

    assert report.created == (DOCUMENT_NAME, INSPECTOR_NAME)
    assert account.documents[DOCUMENT_NAME] == content()
    assert account.known[number].schedule == "rate(1 day)"
    assert account.kept[number].output is not None


def test_a_document_of_our_name_that_is_not_ours_is_left_alone() -> None:
    foreign_document: dict[str, object] = {
        "schemaVersion": "2.2",
        "description": "Corporate checks",
    }
    account = Account(documents={DOCUMENT_NAME: foreign_document})

    report = of(account).ensure([])

    assert "not Sidelight's" in report.detail
    assert of(account).planned([]) == ()
    assert of(account).present() == ()
    assert of(account).remove() == ()
    assert account.documents == {DOCUMENT_NAME: foreign_document}
    assert not account.known


@pytest.mark.parametrize("by", ["its data sync", "its association"])
def test_where_inspector_itself_scans_our_own_name_is_used(by: str) -> None:
    inspector_association = AssociationInfo(
        "theirs", "AmazonInspector2-InvokeInspectorSsmPluginLinux", INSPECTOR_NAME, ("*",)
    )
    account = Account()
    if by == "its data sync":
        account.syncs.append(DataSyncInfo(INSPECTOR + DATA_SYNC, "inspectors-own"))
    else:
        account.known["theirs"] = inspector_association

    of(account).ensure([])
    assert OWN_NAME in {item.name for item in account.known.values()}
    of(account).remove()

    assert account.known == ({} if by == "its data sync" else {"theirs": inspector_association})
    assert not account.documents


def test_when_inspector_begins_to_scan_the_association_changes_its_name() -> None:
    account = Account()
    of(account).ensure([])
    account.syncs.append(DataSyncInfo(INSPECTOR + DATA_SYNC, "inspectors-own"))

    report = of(account).ensure([])

    assert (report.created, report.deleted) == ((OWN_NAME,), (INSPECTOR_NAME,))
    assert [item.name for item in account.known.values()] == [OWN_NAME]


def test_removal_leaves_nothing_and_nobody_elses() -> None:
    account = Account(
        {"other": AssociationInfo("other", "AWS-RunShellScript", INSPECTOR_NAME, ("*",))}
    )
    of(account).ensure([])
    present = of(account).present()

    removed = of(account).remove()

    assert set(removed) == set(present) == {OWN_NAME, DOCUMENT_NAME}
    assert account.known.keys() == {"other"}
    assert of(account).remove() == ()


def test_an_older_version_of_the_document_is_ours() -> None:
    account = Account(documents={DOCUMENT_NAME: {"description": f"{MARK} an older one"}})

    assert of(account).ensure([]).created == (DOCUMENT_NAME, INSPECTOR_NAME)


@pytest.mark.parametrize("call", ["get_document", "create_document", "create_association"])
def test_a_denied_call_is_in_the_report_and_names_itself(call: str) -> None:
    report = of(Account(denied=call)).ensure([])

    assert call in report.detail


def test_a_role_that_may_not_read_documents_has_nothing_to_remove() -> None:
    account = Account(denied="get_document")

    assert of(account).present() == ()
    assert of(account).remove() == ()


def test_a_failed_deletion_is_raised_and_the_document_stays() -> None:
    account = Account()
    of(account).ensure([])
    account.denied = "delete_association"

    with pytest.raises(AccessDeniedError):
        of(account).remove()

    assert DOCUMENT_NAME in account.documents


def test_without_a_bucket_nothing_is_made() -> None:
    account = Account()
    resources = replace(of(account), target=SyncTarget("", ""))

    assert "SIDELIGHT_INVENTORY_BUCKET" in resources.ensure([]).detail
    assert resources.planned([]) == ()
    assert not account.known


@pytest.mark.parametrize("path", ["/opt/a:b", "/opt/'x", "/opt/$(x)", "/opt/\n", "/opt/{{ x }}"])
def test_a_path_that_the_document_would_refuse_is_an_error(path: str) -> None:
    with pytest.raises(UsageError):
        posix_paths([path])
