"""The real output of every command, and the files that they write, validate by docs/schemas."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import build as demo_machines
import pytest
from click.testing import CliRunner

from dispatcher.cli.root import sidelight
from dispatcher.events.event_messages import EventChoice
from dispatcher.events.publisher import JsonLinesSink, Publisher
from sidelight.fleet.advisory_updates.bundle_file import HEAD
from sidelight.fleet.advisory_updates.update_state import state_path
from sidelight.localcloud.conditions import KIND
from sidelight.localcloud.server import LocalCloud
from sidelight.model import AuditRecord
from sidelight.store import Store
from tests.fakes.publisher import Publisher as FeedPublisher
from tests.fakes.publisher import cut
from tests.fixtures.api_requests import SEAL_TEXT
from tests.fixtures.bundle_keys import write_keys
from tests.fixtures.document_schemas import conform
from tests.fixtures.vex_files import openvex, stated, write

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = pytest.mark.services

ADVISORIES = Path(demo_machines.__file__).parent / "advisories"


class World:
    """A cloud with a scanned instance and an excluded one, and its fleet's store."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self.directory = directory
        self.url = f"sqlite:///{directory}/store.db"
        self.database = directory / "advisories.db"
        self.environment = {
            **environment,
            "SIDELIGHT_STORE_URL": self.url,
            "SIDELIGHT_BROKER_URL": "memory://",
            "SIDELIGHT_ADVISORIES": str(self.database),
            "SIDELIGHT_POLL_SECONDS": "0.1",
            "SIDELIGHT_ACCESS_SEAL": SEAL_TEXT,
        }
        self.instance = ""
        self.image = directory / "web-1.img"

    def text(self, *arguments: str | Path, statuses: tuple[int, ...] = (0, 3)) -> str:
        done = CliRunner(env=self.environment).invoke(sidelight, [*map(str, arguments)])
        assert done.exit_code in statuses, done.output
        return done.stdout

    def conforms(self, schema: str, *arguments: str | Path) -> object:
        """Run a command for its document, which has to be valid; return it."""
        document: object = json.loads(self.text(*arguments, "--format", "json"))
        conform(schema, document)
        return document


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("world")
    recipe = next(r for r in demo_machines.RECIPES if r.name == "web-1")
    demo_machines.build(recipe, directory)
    with LocalCloud(directory / "cloud", conditions=KIND) as cloud:
        world = World(directory, cloud.environment())
        world.text("advisories", "build", "--out", world.database, ADVISORIES)
        world.instance = cloud.add_instance("web", [world.image])
        cloud.add_instance("private", [world.image], tags={"InspectorEc2Exclusion": ""})
        with Store(world.url) as store:
            store.migrate()
        world.text("scan", world.instance)
        yield world


def listed(document: object) -> list[object]:
    """A list that is not empty: an empty one would validate by any schema of lists."""
    assert isinstance(document, list)
    assert document
    return document


def test_what_scan_and_inventory_print(world: World) -> None:
    stats = world.directory / "stats.json"
    world.conforms("inventory", "inventory", world.image, "--stats", stats)
    conform("read-stats", json.loads(stats.read_text()))
    found = world.conforms("scan", "scan", world.image)
    assert isinstance(found, dict)
    listed(found["findings"])
    listed(found["filesystems"])
    noise = world.directory / "noise.img"
    noise.write_bytes(bytes(range(256)) * 4096)
    failed = json.loads(world.text("inventory", noise, "--format", "json", statuses=(4,)))
    conform("inventory", failed)
    listed(failed["problems"])


def test_what_the_fleet_s_lists_print(world: World) -> None:
    listed(world.conforms("fleet-status", "fleet", "status", "--all"))
    listed(world.conforms("fleet-coverage", "fleet", "coverage"))
    listed(world.conforms("fleet-findings", "fleet", "findings"))
    listed(world.conforms("fleet-upgrades", "fleet", "plan"))
    for by in ("account", "region", "instance", "day"):
        listed(world.conforms("fleet-costs", "fleet", "costs", "--by", by))


def test_what_a_fleet_s_scan_and_its_plan_print(world: World) -> None:
    plan = world.conforms("fleet-plan", "fleet", "scan", "--dry-run")
    assert isinstance(plan, dict)
    for member in ("scans", "skipped", "recycle_bin"):
        listed(plan[member])
    # No worker is there: of what is due nothing, the document is of the same shape.
    scan = world.conforms("fleet-scan", "fleet", "scan", "--due")
    assert isinstance(scan, dict)
    listed(scan["coverage"])
    listed(scan["sweep"])


def test_what_sweeps_print(world: World) -> None:
    listed(world.conforms("fleet-sweep", "fleet", "sweep"))
    listed(world.conforms("fleet-adoption", "fleet", "sweep", "--adopt", "--dry-run"))


def test_what_changes_of_the_store_print(world: World) -> None:
    criteria = ("--equals", "vulnerabilityId=CVE-2021-44906")
    world.text("fleet", "suppress", "add", "known", *criteria, "--tag", "team=web")
    listed(world.conforms("suppression-rules", "fleet", "suppress", "list"))
    world.text("fleet", "suppress", "remove", "known")
    vex = write(world.directory, openvex(stated("CVE-2021-44906", "pkg:npm/minimist")))
    addition = world.conforms("vex-addition", "fleet", "suppress", "add-vex", vex)
    assert isinstance(addition, dict)
    assert addition["findings"]
    listed(world.conforms("vex-documents", "fleet", "suppress", "list-vex"))
    listed(world.conforms("fleet-findings", "fleet", "findings", "--status", "SUPPRESSED"))
    world.text("fleet", "suppress", "remove-vex", "vex.json")
    world.conforms("fleet-reevaluation", "fleet", "reevaluate")
    world.conforms("fleet-prune", "fleet", "prune")


def test_what_access_prints(world: World) -> None:
    issued = world.conforms("access-key", "access", "create", "alice", "--account", "1" * 12)
    assert isinstance(issued, dict)
    listed(world.conforms("access-keys", "access", "list"))
    with Store(world.url) as store:
        store.audit_log.add(
            AuditRecord(
                store.clock(), "alice", issued["AccessKeyId"], "1" * 12, "eu-west-1", "Enable",
                "id", "127.0.0.1", "OK",
            )
        )  # fmt: skip
    listed(world.conforms("access-audit", "access", "audit"))
    assert "1 key revoked" in world.text("access", "revoke", issued["AccessKeyId"])


def test_events_as_printed_and_as_published(world: World, tmp_path: Path) -> None:
    lines = world.text("fleet", "events", "--format", "json").splitlines()
    seen = set()
    for line in lines:
        event = json.loads(line)
        kinds = {"Finding": "finding-event", "Coverage": "coverage-event", "Scan": "scan-event"}
        kind = event["detail-type"].removeprefix("Inspector2 ")
        seen.add(kind)
        conform(kinds[kind], event)
        if kind == "Finding":
            conform("inspector2-finding", event["detail"])
        assert "sidelight" in event["detail"]
    assert seen == {"Finding", "Coverage", "Scan"}
    target = tmp_path / "events.jsonl"
    with Store(world.url) as store:
        choice = EventChoice.of("findings,coverage,scans", "iso")
        sink = JsonLinesSink(target)
        sent = Publisher(store, f"file:{target}", sink, after=0, choice=choice).run()
    assert target.read_text().splitlines() == [
        json.dumps(json.loads(line), ensure_ascii=False, separators=(",", ":")) for line in lines
    ]
    assert sent == len(lines)


def test_what_the_advisories_commands_print_and_note(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.conforms("advisories-info", "advisories", "info", world.database)
    listed(world.conforms("advisories-sources", "advisories", "fetch", "--list"))
    monkeypatch.setattr("sidelight.download.cached_download._WAIT", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("GHSA-1.json", '{"id": "GHSA-1", "modified": "2024", "affected": []}')
    for publisher in FeedPublisher().running():
        page = publisher.publish("/npm/all.zip", body.getvalue())
        fetch = (
            "advisories", "fetch", "--into", tmp_path, "osv-npm",
            "--mirror", f"osv-npm={publisher.base}", "--format", "json",
        )  # fmt: skip
        page.faults = [cut(20)] * 9
        failed = json.loads(world.text(*fetch, statuses=(4,)))
        conform("advisories-fetch", failed)
        (note,) = tmp_path.rglob(".*.part.json")
        conform("partial-download-note", json.loads(note.read_text()))
        page.faults = []
        conform("advisories-fetch", json.loads(world.text(*fetch)))
        (note,) = tmp_path.rglob(".*.json")
        conform("download-note", json.loads(note.read_text()))
        database = tmp_path / "data" / "advisories.db"
        update = (
            "advisories", "update", "osv-npm", "--advisories", database,
            "--mirror", f"osv-npm={publisher.base}", "--format", "json",
        )  # fmt: skip
        conform("advisories-update", json.loads(world.text(*update)))
        world.conforms("advisories-info", "advisories", "info", database)
        state = json.loads(state_path(database).read_text())
        conform("advisories-state", state)
    (key, _public), bundle = write_keys(tmp_path), tmp_path / "b.bundle"
    world.text("advisories", "bundle", "--sign", key, "--out", bundle, "--advisories", database)
    with bundle.open("rb") as stream:
        _magic, _format, size = HEAD.unpack(stream.read(HEAD.size))
        conform("advisories-bundle-manifest", json.loads(stream.read(size)))
