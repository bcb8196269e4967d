"""Events leave the outbox in order, each at least once, and go on where they were."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from dispatcher.cli.fleet import findings
from dispatcher.cli.fleet.scan import fleet
from dispatcher.discovery.accounts import ScanScope
from dispatcher.events.publisher import AT_ONCE, Publisher
from dispatcher.events.targets import sink_of
from dispatcher.loop import DispatcherLoop
from dispatcher.on_demand import in_process
from dispatcher.planning.eligibility import Configuration
from sidelight.aws.events import BYTES, EventBridge, Message, Sent, Topic
from sidelight.aws.session import Session
from sidelight.errors import CloudError, UsageError
from sidelight.fleet.settings import Settings
from sidelight.model import Instance, Package
from sidelight.store import Store
from tests.fixtures.store_templates import lay
from tests.fixtures.stored_findings import ACCOUNT, REGION, inventory, package, says, scanned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


class Listener:
    """A sink that takes `most` messages in all, and then refuses."""

    def __init__(self, most: int = 1 << 30, *, whole: bool = True) -> None:
        self.most = most
        self.whole = whole
        self.taken: list[Message] = []

    def send(self, messages: Sequence[Message]) -> Sent:
        room = self.most - len(self.taken)
        self.taken += messages[:room]
        return Sent(len(messages)) if room >= len(messages) else Sent(room, "full")

    @property
    def sequences(self) -> list[int]:
        details = [json.loads(one.text) for one in self.taken]
        return [one.get("detail", one)["sidelight"]["sequence"] for one in details]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    lay(url)
    with Store(url) as store:
        yield store


def happen(store: Store, count: int, machine: str = "i-1") -> None:
    """So many findings are opened."""
    names = [f"p{number}" for number in range(count)]
    scanned(store, says(*names), inventory(*map(package, names)), machine)


def test_a_new_target_begins_with_what_comes_and_goes_on_where_it_was(store: Store) -> None:
    happen(store, 2)
    first = Listener()
    assert Publisher(store, "t", first).run() == 0
    happen(store, 3, "i-2")
    assert Publisher(store, "t", first).run() == 3
    assert Publisher(store, "t", first).run() == 0
    assert first.sequences == [3, 4, 5]
    # Another has a position of its own, and one may be given a start.
    other = Listener()
    assert Publisher(store, "u", other, after=1).run() == 4
    assert other.sequences == [2, 3, 4, 5]


def test_what_is_refused_is_where_the_next_run_begins(store: Store) -> None:
    happen(store, AT_ONCE + 5)
    listener = Listener(AT_ONCE + 2)
    with pytest.raises(CloudError, match=f"event {AT_ONCE + 3} is not taken: full"):
        Publisher(store, "t", listener, after=0).run()
    listener.most = 1 << 30
    assert Publisher(store, "t", listener).run() == 3
    assert listener.sequences == list(range(1, AT_ONCE + 6))


def test_who_is_killed_between_sending_and_remembering_sends_again(store: Store) -> None:
    happen(store, 3)

    class Dying(Listener):
        def send(self, messages: Sequence[Message]) -> Sent:
            super().send(messages)
            raise KeyboardInterrupt

    dying, listener = Dying(), Listener()
    publisher = Publisher(store, "t", dying)
    happen(store, 2, "i-2")
    with pytest.raises(KeyboardInterrupt):
        publisher.run()
    assert Publisher(store, "t", listener).run() == 2
    assert [one.id for one in listener.taken] == [one.id for one in dying.taken]
    assert len({one.id for one in listener.taken}) == 2


def test_one_that_is_behind_takes_no_other_back(store: Store) -> None:
    happen(store, 4)
    store.outbox.reached("t", 3)
    store.outbox.reached("t", 2)
    assert store.outbox.position("t") == 3


def test_a_message_names_instance_vulnerability_and_severity(store: Store) -> None:
    machine = Instance("i-1", ACCOUNT, REGION, "running", (), (("team", "web"),))
    store.instances.discovered(ACCOUNT, REGION, [machine])
    layered = Package(
        "npm", "a", "1", "/var/lib/docker/overlay2/1/diff/srv/package-lock.json",
        "pkg:npm/a@1", layer="docker",
    )  # fmt: skip
    scanned(store, says("a"), inventory(layered))
    whole, detail = Listener(), Listener(whole=False)
    for listener in (whole, detail):
        Publisher(store, "t", listener, after=0).run()
    (event,), (bare,) = whole.taken, detail.taken
    assert event.attributes == {
        "event": "OPENED", "severity": "HIGH", "status": "ACTIVE", "account": ACCOUNT,
        "region": REGION, "type": "Inspector2 Finding",
    }  # fmt: skip
    assert event.id == f"{store.deployment()}-1"
    document = json.loads(event.text)
    assert document["detail"] == json.loads(bare.text)
    (vulnerable,) = bare_packages(bare)
    assert vulnerable["sourceLayer"] == "docker"
    assert json.loads(bare.text)["resources"][0]["tags"] == {"team": "web"}


def bare_packages(message: Message) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(message.text)["packageVulnerabilityDetails"][
        "vulnerablePackages"
    ]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("whole", [False, True])
def test_an_event_that_is_too_long_says_what_it_left_out(store: Store, *, whole: bool) -> None:
    long = Package("npm", "n" * 400_000, "1", "/x/" + "\udcff" * 9, "pkg:npm/n@1")
    scanned(store, says("n" * 400_000), inventory(long))
    listener = Listener(whole=whole)
    Publisher(store, "t", listener, after=0).run()
    (message,) = listener.taken
    assert len(message.text.encode()) < BYTES
    document = json.loads(message.text)
    detail = document["detail"] if whole else document
    assert detail["sidelight"]["leftOut"][-1] == "texts"
    assert detail["packageVulnerabilityDetails"]["vulnerabilityId"] == "CVE-2026-1"


def test_a_target_is_named_or_refused() -> None:
    session = Session(region=REGION)
    arn = f"arn:aws:sns:{REGION}:{ACCOUNT}:t"
    assert isinstance(sink_of("eventbridge:default", session), EventBridge)
    assert isinstance(sink_of(f"sns:{arn}", session), Topic)
    for wrong in ("", "sns:t", "eventbridge:", "file:", "mail:me", "stdout:x"):
        with pytest.raises(UsageError, match="eventbridge:BUS"):
            sink_of(wrong, session)


def run(url: str, *arguments: str) -> str:
    done = CliRunner().invoke(
        fleet, ["events", *arguments, "--store", url, "--types", "findings"], catch_exceptions=False
    )
    return done.output


def test_the_command_publishes_to_a_file_from_where_it_was(
    url: str, store: Store, tmp_path: Path
) -> None:
    path = tmp_path / "events.jsonl"
    happen(store, 2)
    run(url, "--publish", f"file:{path}", "--after", "0")
    path.write_text(path.read_text() + '{"cut')  # a process killed within a line
    happen(store, 1, "i-2")
    run(url, "--publish", f"file:{path}")
    run(url, "--publish", f"file:{path}")
    *whole, cut, last = path.read_text().splitlines()
    assert cut == '{"cut'
    assert [json.loads(line)["id"] for line in [*whole, last]] == ["1", "2", "3"]
    assert [json.loads(line)["id"] for line in run(url, "--publish", "stdout", "--after", "2")
            .splitlines()] == ["3"]  # fmt: skip
    with pytest.raises(CloudError, match="cannot be written"):
        run(url, "--publish", f"file:{tmp_path}", "--after", "0")


@pytest.mark.parametrize("form", ["table", "json"])
def test_follow_shows_each_event_once_as_it_comes(
    url: str, store: Store, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """What happens between looks is shown at the next; Ctrl-C ends it; --after goes on."""
    later: list[Callable[[], None]] = [
        lambda: happen(store, 2, "i-2"),
        lambda: None,
        lambda: happen(store, 1, "i-3"),
    ]

    def between(_seconds: float) -> None:
        if not later:
            raise KeyboardInterrupt
        later.pop(0)()

    monkeypatch.setattr(findings, "wait", between)
    happen(store, 2)
    shown = numbers(form, run(url, "--follow", "--after", "1", "--format", form))
    assert shown == [2, 3, 4, 5]
    assert numbers(form, run(url, "--after", str(shown[-2]), "--format", form)) == shown[-1:]


def numbers(form: str, output: str) -> list[int]:
    lines = [line for line in output.splitlines() if line and line != "Aborted!"]
    return [int(json.loads(line)["id"] if form == "json" else line.split()[0]) for line in lines]


def test_the_dispatcher_publishes_beside_its_ticks(store: Store, tmp_path: Path) -> None:
    """To each target, also where another refuses."""
    path, other = tmp_path / "events.jsonl", tmp_path / "no" / "folder.jsonl"
    targets = f"file:{other} file:{path}"
    settings = Settings.of(store_url="sqlite://", publish=targets, event_types="findings")
    schedule = DispatcherLoop(in_process(settings, store=store), ScanScope(), Configuration())

    def beat() -> None:
        schedule._publish_new_events()
        schedule._delivery.join()

    beat()
    happen(store, 2)
    beat()
    beat()
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()] == ["1", "2"]
    assert "cannot be written" in schedule._delivery.error
