"""The collectors' outputs of one account and Region: what changed, and what is missing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from sidelight.errors import CloudError, FormatError, LimitError
from sidelight.inventory.collected.envelope import open_envelope
from sidelight.inventory.collected.reading import read_collected
from sidelight.model import PlatformType, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidelight.aws.ssm.collected_objects import CollectedObject
    from sidelight.inventory.collected.reading import CollectedReading
    from sidelight.model import DeepLimits, ManagedInstance

NO_INVENTORY: Final = "DEEP_INSPECTION_NO_INVENTORY"
TOO_MANY: Final = "DEEP_INSPECTION_PACKAGE_COLLECTION_LIMIT_EXCEEDED"
TOO_LONG: Final = "DEEP_INSPECTION_COLLECTION_TIME_LIMIT_EXCEEDED"
TOO_MUCH: Final = "DEEP_INSPECTION_DAILY_SSM_INVENTORY_LIMIT_EXCEEDED"
REASONS: Final = (NO_INVENTORY, TOO_MANY, TOO_LONG, TOO_MUCH)
_NOT_INSPECTED: Final = ("bottlerocket",)  # its root is read-only, without a shell
MARK: Final = "|"  # before the collector's part in a SeenInventory's version


class OutputReader(Protocol):
    """CollectedObjects, as far as it is used here."""

    def read(self, item: CollectedObject, etag: str) -> bytes: ...  # noqa: D102 - as there


@dataclass(frozen=True, slots=True)
class DeepNote:
    """Why deep inspection of an instance is incomplete; the reason is one of REASONS."""

    reason: str
    detail: str


class DeepCaptures:
    """The newest outputs by instance. `why` says why nothing can be collected at all, if so.

    `objects` is None where they could not be listed: what was read before is kept then.
    """

    def __init__(
        self,
        reader: OutputReader,
        objects: Mapping[str, CollectedObject] | None,
        limits: DeepLimits,
        why: str = "",
    ) -> None:
        self._reader = reader
        self._is_listed = objects is not None
        self._objects = objects or {}
        self._limits = limits
        self._why = why

    def version(self, instance: ManagedInstance, before: str) -> str:
        """Return what changes with the instance's output; empty without one.

        `before` is the version that was evaluated last. It stays where the instance sent more in a
        day than it may.
        """
        if not inspected(instance):
            return ""
        if not self._is_listed:
            return before
        item = self._objects.get(instance.instance_id)
        if item is None:
            return ""
        return before if self._is_too_much(item) else item.etag

    def _is_too_much(self, item: CollectedObject) -> bool:
        return item.day_bytes > self._limits.day_bytes

    def output(self, instance_id: str, version: str) -> bytes:
        """Return the output of a version. Raises AccessDeniedError, CloudError, LimitError."""
        if not self._is_listed:
            raise CloudError(f"the output that was read last is needed again: {self._why}")
        return self._reader.read(self._objects[instance_id], version)

    def note(self, instance: ManagedInstance) -> DeepNote | None:
        """Return what is missing as a listing shows it: no output, or too many bytes in a day."""
        if not inspected(instance):
            return None
        item = self._objects.get(instance.instance_id)
        if item is None:
            why = self._why or (
                "nothing was collected yet; if this stays for hours: does the association run on"
                " the instance, and may its role put objects into the bucket (s3:PutObject)?"
            )
            return DeepNote(NO_INVENTORY, why)
        if self._is_too_much(item):
            what = f"{item.day_bytes} bytes in a day; the limit is {self._limits.day_bytes}"
            return DeepNote(TOO_MUCH, f"{what}: the last result that was read is kept")
        return None

    def evaluated(self, output: bytes) -> tuple[CollectedReading, DeepNote | None]:
        """Return the packages of an output, at most the limit, and the limit that ended it."""
        found = read_collected(output)
        if not found.is_readable:
            return found, DeepNote(NO_INVENTORY, f"its output is {found.problems[0].what}")
        limit = self._limits.packages
        if len(found.packages) > limit:
            what = f"{len(found.packages)} language packages; the first {limit} are evaluated"
            problem = Problem("deep inspection", what)
            kept = replace(
                found, packages=found.packages[:limit], problems=(*found.problems, problem)
            )
            return kept, DeepNote(TOO_MANY, what)
        if "time" in found.limits:
            what = f"the collector stopped after {self._limits.seconds} s"
            return _with_problem(found, what), DeepNote(TOO_LONG, what)
        if found.limits:
            what = f"the collector stopped at {self._limits.files} files"
            if "bytes" in found.limits:
                what = f"the collector stopped at {self._limits.size} bytes"
            return _with_problem(found, what), DeepNote(TOO_MANY, what)
        return found, None


def _with_problem(found: CollectedReading, what: str) -> CollectedReading:
    return replace(found, problems=(*found.problems, Problem("deep inspection", what)))


def inspected(instance: ManagedInstance) -> bool:
    """Return whether the collector runs on such an instance: on Linux, with a shell."""
    name = instance.platform_name.lower()
    return instance.platform_type in {PlatformType.LINUX, None} and name not in _NOT_INSPECTED


def digest_of_output(output: bytes) -> str:
    """Return a digest of what was collected, independent of the collector that did it."""
    try:
        sections = open_envelope(output).sections
    except (FormatError, LimitError):
        return hashlib.sha256(output).hexdigest()
    whole = hashlib.sha256()
    for name in sorted(sections.keys() - {"about"}):
        whole.update(name.encode() + b"\0" + hashlib.sha256(sections[name]).digest())
    return whole.hexdigest()


def split_version(version: str) -> tuple[str, str]:
    """Return a SeenInventory's version of the agent's inventory, and of the collector's output."""
    own, _, deep = version.partition(MARK)
    return own, deep


def joined_version(own: str, deep: str) -> str:
    """Return the version of both."""
    return f"{own}{MARK}{deep}" if deep else own
