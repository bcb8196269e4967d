"""Outputs of collectors: which are read again, and which limit ended which."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from sidelight.aws.ssm.capture import Capture
from sidelight.aws.ssm.collected_objects import CollectedObject
from sidelight.errors import CloudError
from sidelight.fleet.agents.collector import AgentInventory, InventoryCollector
from sidelight.fleet.agents.deep_inspection.captures import (
    NO_INVENTORY,
    TOO_LONG,
    TOO_MANY,
    TOO_MUCH,
    DeepCaptures,
    digest_of_output,
)
from sidelight.inventory.ssm.items import APPLICATION, InventoryItem
from sidelight.model import (
    DeepLimits,
    ManagedInstance,
    PingStatus,
    PlatformType,
    SeenInventory,
    Status,
)
from tests.fixtures.collector_outputs import FLASK, RACK, output, tar

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
BASH = {"Name": "bash", "Version": "5.2.15-2+b2", "Architecture": "amd64", "Publisher": "Debian",
        "PackageId": "bash_5.2.15-2_amd64.deb"}  # fmt: skip
OLD = {**BASH, "Name": "old-library", "Version": "0.9-1"}
STATUS = (
    b"Package: bash\nStatus: install ok installed\nVersion: 5.2.15-2+b2\nArchitecture: amd64\n"
    b"Source: bash (5.2.15-2)\nMaintainer: Debian <a@debian.org>\n\n"
    b"Package: old-library\nStatus: deinstall ok config-files\nVersion: 0.9-1\n"
    b"Architecture: amd64\n"
)


@dataclass
class World:
    """A machine's inventory and its collector's output, with counts of what is fetched."""

    entries: list[dict[str, str]] = field(default_factory=lambda: [BASH, OLD])
    own_version: str = "e1"
    output: bytes = b""
    etag: str = "o1"
    day_bytes: int = 100
    limits: DeepLimits = field(default_factory=DeepLimits)
    fetched: list[str] = field(default_factory=list)
    broken: bool = False
    is_listed: bool = True
    why: str = "ListObjectsV2: AccessDenied"

    def read(self, item: CollectedObject | str, _seen: object = None) -> bytes | Capture:
        if isinstance(item, CollectedObject):
            self.fetched.append("output")
            if self.broken:
                raise CloudError("SlowDown", where=item.key)
            return self.output
        self.fetched.append("inventory")
        entries = InventoryItem(APPLICATION, self.entries, "2026-11-29T11:00:00Z")
        return Capture(item, {APPLICATION: entries}, f"digest of {self.own_version}", NOW)

    def deep(self) -> DeepCaptures:
        if not self.is_listed:
            return DeepCaptures(self, None, self.limits, self.why)  # type: ignore[arg-type]
        objects = {}
        if self.output:
            objects["i-1"] = CollectedObject("k", self.etag, 10, NOW, self.day_bytes)
        return DeepCaptures(self, objects, self.limits)  # type: ignore[arg-type]

    def round(self, seen: SeenInventory | None, *, has_deep: bool = True) -> list[AgentInventory]:
        collector = InventoryCollector(self, None, {"i-1": self.own_version})  # type: ignore[arg-type]
        collector.deep = self.deep() if has_deep else None
        before = {} if seen is None else {"i-1": seen}
        return list(collector.collect([machine()], before))


def machine(
    name: str = "Debian GNU/Linux", kind: PlatformType = PlatformType.LINUX
) -> ManagedInstance:
    return ManagedInstance("i-1", PingStatus.ONLINE, platform_type=kind, platform_name=name,
                           platform_version="12")  # fmt: skip


def names(result: AgentInventory) -> set[str]:
    assert result.reading is not None
    return {package.name for package in result.reading.inventory.packages}


def test_language_packages_join_the_systems_and_their_sources_come_from_the_machine() -> None:
    (result,) = World(output=output(tar(FLASK, RACK), dpkg_status=STATUS)).round(None)

    assert names(result) == {"bash", "flask", "rack"}  # and no package that was removed
    assert result.reading is not None
    inventory = result.reading.inventory
    assert (inventory.status, result.deep) == (Status.COMPLETE, None)
    (bash,) = [package for package in inventory.packages if package.name == "bash"]
    assert (bash.source_name, bash.source_version) == ("bash", "5.2.15-2")


def test_what_is_unchanged_costs_no_fetch() -> None:
    world = World(output=output(tar(FLASK)))
    (first,) = world.round(None)
    world.fetched.clear()

    assert world.round(first.seen) == []
    assert world.fetched == []


@pytest.mark.parametrize("what", ["the output", "the inventory"])
def test_a_change_of_either_is_evaluated_with_the_other(what: str) -> None:
    world = World(output=output(tar(FLASK), dpkg_status=STATUS))
    (first,) = world.round(None)
    if what == "the output":
        world.output, world.etag = output(tar(RACK), dpkg_status=STATUS), "o2"
    else:
        world.entries, world.own_version = [{**BASH, "Name": "curl"}], "e2"

    (second,) = world.round(first.seen)

    assert names(second) == ({"bash", "rack"} if what == "the output" else {"curl", "flask"})


def test_the_same_content_under_another_etag_is_not_parsed_again() -> None:
    world = World(output=output(tar(FLASK), about=b"collector\tpython 3.6\n"))
    (first,) = world.round(None)
    world.output, world.etag = output(tar(FLASK), about=b"collector\tpython 3.9\n"), "o2"

    (second,) = world.round(first.seen)

    assert second.reading is None
    assert second.seen.version != first.seen.version
    assert world.round(second.seen) == []


def test_what_is_no_output_has_a_reason_and_the_systems_packages_are_evaluated() -> None:
    (result,) = World(output=b"/bin/sh: cannot fork").round(None)

    assert result.deep is not None
    assert result.deep.reason == NO_INVENTORY
    assert names(result) == {"bash", "old-library"}


def test_an_output_that_cannot_be_read_keeps_the_last_result() -> None:
    world = World(output=output(tar(FLASK)))
    (first,) = world.round(None)
    world.etag, world.broken = "o2", True

    (second,) = world.round(first.seen)

    assert "SlowDown" in second.error
    assert second.seen == first.seen


def test_outputs_that_cannot_be_listed_keep_the_last_result() -> None:
    world = World(output=output(tar(FLASK, RACK), dpkg_status=STATUS))
    (first,) = world.round(None)
    world.is_listed = False

    assert world.round(first.seen) == []

    world.own_version = "newer"
    (again,) = world.round(first.seen)
    assert (again.reading, again.seen) == (None, first.seen)
    assert "ListObjectsV2" in again.error
    note = world.deep().note(machine())
    assert note is not None
    assert (note.reason, note.detail) == (NO_INVENTORY, world.why)


def test_without_an_earlier_result_the_systems_packages_are_evaluated_unlisted() -> None:
    world = World(output=output(tar(FLASK, RACK), dpkg_status=STATUS), is_listed=False)

    (result,) = world.round(None)

    assert names(result) == {"bash", "old-library"}


def test_deep_inspection_that_is_switched_off_takes_its_packages_away() -> None:
    world = World(output=output(tar(FLASK), dpkg_status=STATUS))
    (first,) = world.round(None)

    (second,) = world.round(first.seen, has_deep=False)

    assert names(second) == {"bash", "old-library"}


def test_more_packages_than_allowed_are_cut_and_have_a_reason() -> None:
    many = [(f"usr/lib/n{n}.dist-info/METADATA", f"Name: n{n}\nVersion: 1\n".encode())
            for n in range(8)]  # fmt: skip
    world = World(output=output(tar(*many)), limits=DeepLimits(packages=5))

    (result,) = world.round(None)

    assert result.deep is not None
    assert result.deep.reason == TOO_MANY
    assert "8 language packages; the first 5" in result.deep.detail
    assert result.reading is not None
    assert result.reading.inventory.status is Status.PARTIAL
    assert len(names(result) - {"bash", "old-library"}) == 5


@pytest.mark.parametrize(
    ("limit", "reason"), [("time", TOO_LONG), ("files", TOO_MANY), ("bytes", TOO_MANY)]
)
def test_a_limit_that_ended_the_collection_has_its_reason(limit: str, reason: str) -> None:
    world = World(output=output(tar(FLASK), notes=f"limit\t{limit}\t\n".encode()))

    (result,) = world.round(None)

    assert result.deep is not None
    assert result.deep.reason == reason
    assert "flask" in names(result)


def test_too_many_bytes_in_a_day_are_not_read_and_the_last_result_stays() -> None:
    world = World(output=output(tar(FLASK)), limits=DeepLimits(day_bytes=1000))
    (first,) = world.round(None)
    world.etag, world.day_bytes = "o2", 1001
    world.fetched.clear()

    assert world.round(first.seen) == []

    assert world.fetched == []
    note = world.deep().note(machine())
    assert note is not None
    assert (note.reason, "1001 bytes in a day" in note.detail) == (TOO_MUCH, True)


def test_an_instance_without_an_output_has_a_reason_with_the_remedy() -> None:
    note = World().deep().note(machine())

    assert note is not None
    assert note.reason == NO_INVENTORY
    assert "s3:PutObject" in note.detail


@pytest.mark.parametrize(
    ("name", "kind"), [("Microsoft Windows Server 2022", PlatformType.WINDOWS),
                       ("macOS", PlatformType.MACOS), ("Bottlerocket", PlatformType.LINUX)],
)  # fmt: skip
def test_systems_where_no_collector_runs_miss_nothing(name: str, kind: PlatformType) -> None:
    assert World().deep().note(machine(name, kind)) is None


def test_a_digest_is_of_what_was_collected() -> None:
    one = output(tar(FLASK), about=b"collector\ta\n")
    same = output(tar(FLASK), about=b"collector\tb\n")

    assert digest_of_output(one) == digest_of_output(same)
    assert digest_of_output(one) != digest_of_output(output(tar(RACK)))
    assert digest_of_output(b"x") != digest_of_output(b"y")
