"""The resources of deep inspection in an account and Region: a document and its association.

Amazon Inspector makes five associations for its plugins. One is needed here, that which runs the
collector; it has the name of Inspector's own, or ours where Inspector itself scans. Nothing is
installed on instances, so there is no association that distributes a package.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from sidelight.aws.ssm.associations import AssociationSpec, OutputPlace
from sidelight.aws.ssm.collected_objects import prefix_of
from sidelight.errors import AccessDeniedError, CloudError, UsageError
from sidelight.fleet.agents.associations_plan import INSPECTOR, OWN, inspector_scans
from sidelight.fleet.agents.deep_inspection.document import (
    DOCUMENT_NAME,
    MARK,
    PATHS_PATTERN,
    content,
    document,
)
from sidelight.model import DeepLimits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sidelight.aws.ssm.associations import AssociationDetails, AssociationInfo, DataSyncInfo
    from sidelight.fleet.agents.associations_plan import SyncTarget

SCHEDULE: Final = "rate(6 hours)"
INVOCATION: Final = "Invoke{}LinuxSsmPlugin-do-not-delete"
NAMES: Final = tuple(INVOCATION.format(prefix) for prefix in (INSPECTOR, OWN))
# What Amazon Inspector makes besides, and Sidelight does not: packages of plugins that are
# installed, and the plugin that evaluates Windows on the machine.
NOT_NEEDED: Final = (
    "InspectorDistributor-do-not-delete",
    "InspectorLinuxDistributor-do-not-delete",
    "InvokeInspectorSsmPlugin-do-not-delete",
)
FOREIGN: Final = (
    f"the account has a document {DOCUMENT_NAME} that is not Sidelight's: it is left as it is, and"
    " language packages are not collected; rename or delete it"
)


class DocumentCalls(Protocol):
    """The calls for documents (sidelight.aws.ssm.documents.Documents)."""

    def content(self, name: str) -> dict[str, object] | None: ...  # noqa: D102 - as there
    def create(self, name: str, content: str) -> None: ...  # noqa: D102
    def update(self, name: str, content: str) -> None: ...  # noqa: D102
    def delete(self, name: str) -> None: ...  # noqa: D102


class InvocationCalls(Protocol):
    """The calls for associations (sidelight.aws.ssm.associations.StateManager)."""

    def associations(self) -> list[AssociationInfo]: ...  # noqa: D102 - as there
    def create(self, spec: AssociationSpec) -> str: ...  # noqa: D102
    def update(self, association_id: str, spec: AssociationSpec) -> None: ...  # noqa: D102
    def details(self, association_id: str) -> AssociationDetails: ...  # noqa: D102
    def delete(self, association_id: str) -> None: ...  # noqa: D102
    def data_syncs(self) -> list[DataSyncInfo]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class DeepReport:
    """The result for one account and Region. `detail` says why nothing is collected, if so."""

    created: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True)
class DeepResources:
    """Creates, verifies and removes the resources of deep inspection in one account and Region."""

    associations: InvocationCalls
    documents: DocumentCalls
    target: SyncTarget
    account: str
    region: str
    limits: DeepLimits = field(default_factory=DeepLimits)

    def planned(self, paths: Sequence[str]) -> tuple[str, ...]:
        """Return the names of the missing resources. Raises AccessDeniedError, CloudError."""
        if not self.target.bucket:
            return ()
        present = self._readable()
        if present is not None and not _is_ours(present):
            return ()
        known = self.associations.associations()
        spec = self.spec(known, paths)
        is_there = any(_is_own(item) and item.name == spec.name for item in known)
        return ((DOCUMENT_NAME,) if present is None else ()) + (() if is_there else (spec.name,))

    def ensure(self, paths: Sequence[str]) -> DeepReport:
        """Create what is missing, and reset what was changed, without the schedule.

        A refusal is in the report. Raises CloudError for every other failure.
        """
        if not self.target.bucket:
            return DeepReport(detail="deep inspection needs a bucket (SIDELIGHT_INVENTORY_BUCKET)")
        try:
            return self._ensure(paths)
        except AccessDeniedError as error:
            return DeepReport(detail=str(error))

    def _ensure(self, paths: Sequence[str]) -> DeepReport:
        created, deleted = [], []
        present = self.documents.content(DOCUMENT_NAME)
        if present is None:
            self.documents.create(DOCUMENT_NAME, document())
            created.append(DOCUMENT_NAME)
        elif not _is_ours(present):
            return DeepReport(detail=FOREIGN)
        elif present != content():
            self.documents.update(DOCUMENT_NAME, document())
            created.append(DOCUMENT_NAME)
        known = self.associations.associations()
        wanted = self.spec(known, paths)
        own = [item for item in known if _is_own(item)]
        kept = next((item for item in own if item.name == wanted.name), None)
        if kept is None:
            self.associations.create(wanted)
            created.append(wanted.name)
        elif self._is_changed(kept, wanted):
            self.associations.update(kept.id, self.spec(known, paths, kept.schedule))
            created.append(wanted.name)
        for item in own:
            if item is not kept:
                self.associations.delete(item.id)
                deleted.append(item.name)
        return DeepReport(tuple(created), tuple(deleted))

    def _is_changed(self, kept: AssociationInfo, wanted: AssociationSpec) -> bool:
        details = self.associations.details(kept.id)
        same = all(
            tuple(details.parameters.get(name, ())) == tuple(values)
            for name, values in wanted.parameters.items()
        )
        return not same or details.output != wanted.output or "*" not in kept.instances

    def spec(
        self, known: Sequence[AssociationInfo], paths: Sequence[str], schedule: str = ""
    ) -> AssociationSpec:
        """Return the association that runs the collector on all instances."""
        is_inspectors = inspector_scans(self.associations.data_syncs(), self.target.bucket) or any(
            item.name == INVOCATION.format(INSPECTOR) and not _is_own(item) for item in known
        )
        output = OutputPlace(
            self.target.bucket,
            self.target.region,
            prefix_of(self.target.prefix, self.account, self.region),
        )
        return AssociationSpec(
            INVOCATION.format(OWN if is_inspectors else INSPECTOR),
            DOCUMENT_NAME,
            schedule or SCHEDULE,
            self._parameters(paths),
            output,
        )

    def _parameters(self, paths: Sequence[str]) -> Mapping[str, Sequence[str]]:
        return {
            "paths": (":".join(dict.fromkeys(posix_paths((*self.limits.paths, *paths)))),),
            "seconds": (str(self.limits.seconds),),
            "files": (str(self.limits.files),),
            "bytes": (str(self.limits.size),),
        }

    def _readable(self) -> dict[str, object] | None:
        """Return the document, None where the role may not read it: then it created none."""
        try:
            return self.documents.content(DOCUMENT_NAME)
        except AccessDeniedError:
            return None

    def has_association(self) -> bool:
        """Return whether an association of ours is there."""
        return any(_is_own(item) for item in self.associations.associations())

    def present(self) -> tuple[str, ...]:
        """Return the names of our resources. Raises AccessDeniedError, CloudError."""
        names = tuple(item.name for item in self.associations.associations() if _is_own(item))
        found = self.documents.content(DOCUMENT_NAME) if names else self._readable()
        return (*names, DOCUMENT_NAME) if found is not None and _is_ours(found) else names

    def remove(self) -> tuple[str, ...]:
        """Delete our associations, then our document; return their names.

        Every deletion is tried, and the first failure is raised at the end.
        """
        deleted = []
        failure: CloudError | AccessDeniedError | None = None
        for item in self.associations.associations():
            if _is_own(item):
                try:
                    self.associations.delete(item.id)
                except (CloudError, AccessDeniedError) as error:
                    failure = failure or error
                else:
                    deleted.append(item.name)
        found = self.documents.content(DOCUMENT_NAME) if deleted else self._readable()
        if failure is None and found is not None and _is_ours(found):
            self.documents.delete(DOCUMENT_NAME)
            deleted.append(DOCUMENT_NAME)
        if failure is not None:
            raise failure
        return tuple(deleted)


def posix_paths(paths: Sequence[str]) -> list[str]:
    """Return those that are of Linux. Raises UsageError for one that the document refuses."""
    found = [path.rstrip("/") or "/" for path in paths if path.startswith("/")]
    for path in found:
        if ":" in path or not re.fullmatch(PATHS_PATTERN, path):
            what = "a path of deep inspection has letters, digits, dots, blanks, - and _"
            raise UsageError(what, where=path[:100])
    return found


def _is_own(item: AssociationInfo) -> bool:
    """Whether an association is ours: by its name, and by the document, which is ours alone."""
    return item.document == DOCUMENT_NAME and item.name in NAMES


def _is_ours(found: Mapping[str, object]) -> bool:
    """Whether a document of our name is Sidelight's, of whatever version."""
    return str(found.get("description") or "").startswith(MARK)
