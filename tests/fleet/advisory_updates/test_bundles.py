"""Signed bundles: made once, taken by others, refused where anything about them is wrong."""

from __future__ import annotations

import io
import json
import os
import subprocess
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zstandard

from sidelight.advisories import AdvisoryDatabase, build
from sidelight.errors import DatabaseError, UsageError
from sidelight.fleet.advisory_updates import bundle_file
from sidelight.fleet.advisory_updates.bundle_file import CONTEXT, HEAD, SIGNATURE, write_bundle
from sidelight.fleet.advisory_updates.bundle_keys import signer_of
from sidelight.fleet.advisory_updates.bundle_updates import BundlePlan, update_from_bundle
from sidelight.fleet.advisory_updates.update_state import (
    FeedState,
    UpdateState,
    read_state,
    state_path,
    write_state,
)
from tests.fixtures.bundle_keys import write_keys
from tests.fixtures.publishers import osv_zip

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.aws.session import Session
    from sidelight.fleet.advisory_updates.updater import UpdateOutcome
    from tests.fakes.publisher import Publisher

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def no_session() -> Session:
    raise AssertionError("AWS is not called")


@dataclass
class Team:
    """Who builds and signs, and a machine that takes bundles."""

    folder: Path
    private: Path
    public: Path

    @property
    def database(self) -> Path:
        return self.folder / "machine" / "advisories.db"

    def bundle(self, count: int, built: datetime = NOW, name: str = "a") -> Path:
        folder = self.folder / f"builder-{name}"
        folder.mkdir()
        (folder / "feed.zip").write_bytes(osv_zip(*range(1, count + 1)))
        path = folder / "advisories.db"
        summary = build([folder / "feed.zip"], path)
        state = UpdateState(
            summary.sha256,
            built,
            built,
            "inputs",
            feeds=(FeedState("osv-npm", built, built, count),),
        )  # fmt: skip
        write_state(path, state)
        with AdvisoryDatabase.open(path) as opened:
            write_bundle(opened.info(), state, folder / "b.bundle", signer_of(self.private))
        return folder / "b.bundle"

    def take(
        self,
        address: Path | str,
        *,
        now: datetime = NOW,
        allow_older: bool = False,
        session: Callable[[], Session] = no_session,
    ) -> UpdateOutcome:
        plan = BundlePlan(
            self.database, str(address), (self.public,), self.folder / "kept", allow_older
        )
        return update_from_bundle(plan, session, lambda: now)

    def count(self) -> int:
        with AdvisoryDatabase.open(self.database) as opened:
            return opened.info().advisories


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path, *write_keys(tmp_path))


def test_a_bundle_puts_the_same_database_and_ages_on_another_machine(team: Team) -> None:
    bundle = team.bundle(5)
    later = NOW + timedelta(hours=3)
    outcome = team.take(bundle, now=later)
    assert (outcome.changed, team.count()) == (True, 5)
    assert outcome.state.built_at == NOW
    assert outcome.state.checked_at == later
    assert [feed.confirmed_at for feed in outcome.state.feeds] == [NOW]
    assert team.database.read_bytes() == bundle.with_name("advisories.db").read_bytes()
    assert team.database.stat().st_mtime == NOW.timestamp()
    assert not team.take(bundle, now=later).changed


def test_a_database_and_a_bundle_that_are_links_are_replaced_behind_them(team: Team) -> None:
    volume = team.folder / "volume"
    volume.mkdir()
    team.database.parent.mkdir()
    team.database.symlink_to(volume / "large.db")
    bundle = team.bundle(5)
    assert team.take(bundle).changed
    assert team.database.is_symlink()
    assert (volume / "large.db.feeds.json").is_file()
    bundle.replace(volume / "b.bundle")
    bundle.symlink_to(volume / "b.bundle")
    with AdvisoryDatabase.open(bundle.with_name("advisories.db")) as opened:
        info = opened.info()
    state = read_state(team.database, info.sha256)
    assert state is not None
    write_bundle(info, state, bundle, signer_of(team.private))
    assert bundle.is_symlink()
    assert not team.take(bundle).changed


def test_an_older_bundle_is_refused_with_the_times_unless_it_is_allowed(team: Team) -> None:
    old = team.bundle(5, NOW - timedelta(days=1), "old")
    team.take(team.bundle(7))
    with pytest.raises(DatabaseError, match=r"built at 2026-11-23 12:00 UTC, before .*11-24"):
        team.take(old)
    assert team.count() == 7
    assert team.take(old, allow_older=True).changed
    assert team.count() == 5


def test_a_bundle_is_no_older_than_a_database_that_was_built_by_hand(team: Team) -> None:
    team.database.parent.mkdir()
    feed = team.folder / "hand.zip"
    feed.write_bytes(osv_zip(1))
    build([feed], team.database)
    os.utime(team.database, ((NOW + timedelta(days=1)).timestamp(),) * 2)
    with pytest.raises(DatabaseError, match="before the current database"):
        team.take(team.bundle(5))


def test_a_bundle_of_the_future_is_refused(team: Team) -> None:
    """It would keep all later ones out."""
    with pytest.raises(DatabaseError, match="in the future"):
        team.take(team.bundle(5, NOW + timedelta(days=30)))
    assert not team.database.exists()


def test_a_changed_byte_anywhere_and_a_cut_anywhere_are_refused(team: Team) -> None:
    bundle = team.bundle(3)
    data = bundle.read_bytes()
    damaged = bundle.with_name("damaged")
    for at in range(0, len(data), 7):
        damaged.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(DatabaseError) as refused:
            team.take(damaged)
        assert refused.value.what
        damaged.write_bytes(data[:at])
        with pytest.raises(DatabaseError, match=r"truncated|is not a bundle"):
            team.take(damaged)
    damaged.write_bytes(data + b"x")
    with pytest.raises(DatabaseError, match="not the one that was signed"):
        team.take(damaged)
    assert list(team.database.parent.iterdir()) == [team.database.with_name(".advisories.db.lock")]


def test_another_signer_is_refused_by_name_and_one_of_several_keys_is_enough(team: Team) -> None:
    bundle = team.bundle(3)
    _, other = write_keys(team.folder, "other")
    plan = BundlePlan(team.database, str(bundle), (other,), team.folder / "kept")
    with pytest.raises(DatabaseError, match=r"signed by another key than [0-9a-f]{16}"):
        update_from_bundle(plan, no_session, lambda: NOW)
    both = replace(plan, keys=(other, team.public))
    assert update_from_bundle(both, no_session, lambda: NOW).changed
    with pytest.raises(UsageError, match="--key"):
        update_from_bundle(replace(plan, keys=()), no_session, lambda: NOW)


def signed(team: Team, bundle: Path, change: Callable[[dict[str, object]], None]) -> Path:
    """A bundle whose manifest was changed, and signed again by the right key."""
    data = bundle.read_bytes()
    _magic, version, size = HEAD.unpack_from(data)
    manifest = json.loads(data[HEAD.size : HEAD.size + size])
    change(manifest)
    encoded = json.dumps(manifest).encode()
    out = bundle.with_name("signed")
    out.write_bytes(
        HEAD.pack(bundle_file.MAGIC, version, len(encoded)) + encoded
        + signer_of(team.private)(CONTEXT + encoded)
        + data[HEAD.size + size + SIGNATURE :]
    )  # fmt: skip
    return out


@pytest.mark.parametrize(
    ("member", "value", "text"),
    [
        ("size", 10, "not the one that was signed"),
        ("size", 1 << 60, "another form"),
        ("size", "many", "another form"),
        ("sha256", "0" * 64, "another digest than its manifest"),
        ("file_sha256", "0" * 64, "not the one that was signed"),
        ("payload_sha256", "0" * 64, "not the one that was signed"),
        ("payload_size", -1, "another form"),
        ("built_at", "yesterday", "another form"),
        ("built_at", "9999-12-31T23:59:59-14:00", "another form"),
        ("schema", float("inf"), "another form"),
        ("feeds", {"a": 1}, "another form"),
    ],
)
def test_a_signed_manifest_that_is_wrong_is_refused(
    team: Team, member: str, value: object, text: str
) -> None:
    bad = signed(team, team.bundle(3), lambda manifest: manifest.update({member: value}))
    with pytest.raises(DatabaseError, match=text):
        team.take(bad)
    assert not team.database.exists()


def test_a_payload_that_unpacks_to_more_than_its_manifest_says_is_cut_off(team: Team) -> None:
    bomb = zstandard.compress(bytes(64 << 20))
    manifest = bundle_file.BundleManifest(
        UpdateState("0" * 64, NOW, NOW), 4, "", 1000, "0" * 64, len(bomb), ""
    )
    out = team.folder / "unpacked"
    digest, written = bundle_file._decompress(io.BytesIO(bomb), manifest, out)
    assert written <= 2 << 20
    assert digest


def test_openssl_makes_the_keys_and_checks_the_signature(team: Team) -> None:
    """The file can be checked without Sidelight."""

    def run(*command: str) -> str:
        done = subprocess.run(["openssl", *command], check=True, capture_output=True, text=True)
        return done.stdout

    team.private, team.public = team.folder / "o.pem", team.folder / "o.pub"
    run("genpkey", "-algorithm", "ed25519", "-out", str(team.private))
    run("pkey", "-in", str(team.private), "-pubout", "-out", str(team.public))
    bundle = team.bundle(3)
    data = bundle.read_bytes()
    _magic, _version, size = HEAD.unpack_from(data)
    (team.folder / "signed").write_bytes(CONTEXT + data[HEAD.size : HEAD.size + size])
    (team.folder / "signature").write_bytes(data[HEAD.size + size :][:SIGNATURE])
    assert "Success" in run(
        "pkeyutl", "-verify", "-pubin", "-inkey", str(team.public), "-rawin",
        "-in", str(team.folder / "signed"), "-sigfile", str(team.folder / "signature"),
    )  # fmt: skip
    assert team.take(bundle).changed


@pytest.mark.parametrize("kind", ["rsa", "text", "empty"])
def test_a_key_of_another_kind_is_refused_with_the_command_that_makes_one(
    team: Team, kind: str
) -> None:
    bad = team.folder / "bad.pem"
    if kind == "rsa":
        subprocess.run(
            ["openssl", "genpkey", "-algorithm", "rsa", "-out", str(bad)],
            check=True, capture_output=True,
        )  # fmt: skip
    else:
        bad.write_text("hello" if kind == "text" else "")
    with pytest.raises(UsageError, match="openssl genpkey -algorithm ed25519"):
        signer_of(bad)


@pytest.mark.services
def test_a_bundle_over_http_is_downloaded_once_and_again_when_it_changed(
    team: Team, publisher: Publisher
) -> None:
    publisher.publish("/b.bundle", team.bundle(3).read_bytes())
    address = f"{publisher.base}/b.bundle"
    assert team.take(address).changed
    assert not team.take(address).changed
    assert "If-None-Match" in publisher.requests[-1][1]
    publisher.publish("/b.bundle", team.bundle(4, NOW + timedelta(hours=1), "b").read_bytes())
    assert team.take(address).changed
    assert team.count() == 4


def test_an_address_of_another_kind_is_refused(team: Team) -> None:
    for address in ("ftp://host/b", "s3://bucket", "s3://"):
        with pytest.raises(UsageError):
            team.take(address)
    with pytest.raises(DatabaseError, match="No such file"):
        team.take(team.folder / "absent")


def test_what_is_not_a_file_is_refused_at_once(team: Team) -> None:
    pipe = team.folder / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, team.folder, Path("/dev/zero")):
        with pytest.raises(DatabaseError, match="is not a file"):
            team.take(path)


def test_an_older_bundle_of_the_same_database_makes_way_for_no_other_older_one(team: Team) -> None:
    again = team.bundle(3, NOW - timedelta(days=9), "again")
    other = team.bundle(2, NOW - timedelta(days=5), "other")
    team.take(team.bundle(3))
    assert team.take(again).state.built_at == NOW
    with pytest.raises(DatabaseError, match="before the current database"):
        team.take(other)


def test_a_lock_that_is_a_link_is_not_followed(team: Team) -> None:
    victim = team.folder / "victim"
    victim.write_text("precious", "utf-8")
    team.database.parent.mkdir()
    (team.database.parent / ".advisories.db.lock").symlink_to(victim)
    with pytest.raises(UsageError, match="symbolic links"):
        team.take(team.bundle(3))
    assert victim.read_text("utf-8") == "precious"


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("built_at", "9999-12-31T23:59:59-14:00"), ("checked_at", "0001-01-01T00:00:00+14:00"),
        ("feeds", [{"name": "a", "confirmed_at": "", "changed_at": "", "records": float("inf"),
                    "error": "", "is_kept": False}]),
    ],
)  # fmt: skip
def test_a_damaged_state_is_none(tmp_path: Path, member: str, value: object) -> None:
    database = tmp_path / "advisories.db"
    write_state(database, UpdateState("0" * 64, NOW, NOW))
    document = json.loads(state_path(database).read_bytes())
    assert read_state(database, "0" * 64) is not None
    state_path(database).write_text(json.dumps(document | {member: value}), "utf-8")
    assert read_state(database, "0" * 64) is None


def test_feeds_that_the_builder_confirmed_since_are_younger_though_nothing_changed(
    team: Team,
) -> None:
    bundle = team.bundle(3)
    team.take(bundle)
    later = NOW + timedelta(days=3)

    def confirm(manifest: dict[str, object]) -> None:
        feeds = manifest["feeds"]
        assert isinstance(feeds, list)
        feeds[0]["confirmed_at"] = later.isoformat()

    outcome = team.take(signed(team, bundle, confirm), now=later)
    assert not outcome.changed
    assert outcome.state.old_feeds(later) == []
