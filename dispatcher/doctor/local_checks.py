"""Checks of this machine and of files: settings, store, advisory database, disk, kernel."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from dispatcher.doctor.results import fault, ok, unchecked, warning
from dispatcher.services.event_targets import check_targets
from dispatcher.services.host_names import is_loopback
from sidelight.advisories import AdvisoryDatabase
from sidelight.cage import missing_protections
from sidelight.errors import DatabaseError, StoreError, UsageError
from sidelight.fleet.advisory_updates.update_state import age_text, read_state
from sidelight.fleet.settings.validation import validate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dispatcher.doctor.results import Check
    from sidelight.fleet.advisory_updates.update_state import UpdateState
    from sidelight.fleet.settings import Settings
    from sidelight.store import Store

DAY: Final = 86_400.0  # seconds
OLD_DAYS: Final = 7  # days after which an advisory database is reported as old
LEAST_FREE: Final = 1 << 30  # bytes for a store, or for temporary files
MAKE_ADVISORIES: Final = "sidelight advisories update"


def check_settings(settings: Settings) -> Iterator[Check]:
    """Yield the settings that contradict each other, or have no effect."""
    group = "settings"
    try:
        validate(settings)
    except UsageError as error:
        yield fault(group, error.where or "settings", error.what, "see docs/settings.md")
    else:
        yield ok(group, "consistency", "no setting contradicts another")
    try:
        check_targets(settings)
    except UsageError as error:
        yield fault(group, "SIDELIGHT_PUBLISH", str(error), "see docs/events.md and webhooks.md")
    aws = settings.aws
    if (aws.external_id or aws.session_tags) and not aws.role_name:
        yield warning(
            group, "SIDELIGHT_ROLE_NAME",
            "an external id or session tags are set, and no role that they are for",
            "set SIDELIGHT_ROLE_NAME, or unset the others",
        )  # fmt: skip
    if settings.agents.inventory_bucket and not settings.agents.agent_based:
        yield warning(group, "SIDELIGHT_INVENTORY_BUCKET", "has no effect without SIDELIGHT_AGENTS",
                      "set SIDELIGHT_AGENTS=1, or unset the bucket")  # fmt: skip
    if not settings.budget.usd_per_day:
        yield warning(group, "SIDELIGHT_USD_PER_DAY", "the daily cap on dollars is off",
                      "unset it: the default is 25 dollars for each account")  # fmt: skip


def check_store(settings: Settings, store: Store | None) -> Iterator[Check]:
    """Yield the store's state. Nothing is created or migrated.

    `store` is None where the URL is not a store's.
    """
    group = "store"
    if store is None:
        yield fault(group, "SIDELIGHT_STORE_URL", "is not a store's URL",
                    "write sqlite:///FILE or postgresql://USER@HOST/NAME")  # fmt: skip
        return
    try:
        missing = store.missing()
        revision, newest = store.revisions() if not missing else ("", "")
        supported = bool(missing) or store.is_supported()
        encrypted = store.is_encrypted()
    except StoreError as error:
        yield fault(group, "reachable", str(error), _store_remedy(settings.store.url))
        return
    if missing in ("it is a directory", "it is not a file"):
        yield fault(group, "exists", f"{store.where}: {missing}",
                    "name a file in SIDELIGHT_STORE_URL: sqlite:///FILE")  # fmt: skip
        return
    if missing:
        yield warning(group, "exists", f"{store.where}: {missing}",
                      "`sidelight fleet scan` creates it; another one: --store")  # fmt: skip
        return
    yield ok(group, "reachable", store.where)
    if revision == newest:
        yield ok(group, "version", f"tables of revision {revision}, this version's")
    elif revision < newest:
        yield warning(group, "version", f"tables of revision {revision}; this version's: {newest}",
                      "back the store up; the next `fleet scan`, `fleet run` or worker migrates it",
                      )  # fmt: skip
    elif supported:
        yield warning(group, "version", f"tables of revision {revision}, of a newer Sidelight that"
                      f" supports this one ({newest})",
                      "end the upgrade or the rollback that is under way (docs/upgrades.md)",
                      )  # fmt: skip
    else:
        yield fault(group, "version", f"tables of revision {revision}, of a newer Sidelight",
                    f"update this Sidelight, which knows revisions up to {newest}")  # fmt: skip
    host = urlsplit(settings.store.url).hostname or ""
    if encrypted is not None:
        local = not host or is_loopback(host)
        if encrypted or local:
            yield ok(group, "TLS", "the connection is encrypted" if encrypted else "on this host")
        else:
            yield warning(group, "TLS", f"the connection to {host} is not encrypted",
                          "add ?sslmode=verify-full to SIDELIGHT_STORE_URL")  # fmt: skip


def _store_remedy(url: str) -> str:
    if url.startswith("sqlite:"):
        return "make the file and its directory writable, or name another file with --store"
    return "start the database, or correct SIDELIGHT_STORE_URL"


def check_advisories(settings: Settings) -> Iterator[Check]:
    """Yield whether the advisory database can be opened, and its age."""
    group = "advisories"
    if not settings.findings.has_advisories:
        yield fault(group, "SIDELIGHT_ADVISORIES", "there is no advisory database: packages are"
                    " listed, and no finding is made", MAKE_ADVISORIES)  # fmt: skip
        return
    path = settings.findings.advisories_path
    try:
        with AdvisoryDatabase.open(path) as opened:
            info = opened.info()
        built = path.stat().st_mtime
    except (DatabaseError, OSError) as error:
        yield fault(group, "database", str(error), MAKE_ADVISORIES)
        return
    yield ok(group, "database", f"{path}: {info.advisories} advisories in"
             f" {len(info.ecosystems)} ecosystems, from {len(info.files)} files")  # fmt: skip
    now = datetime.now(UTC)
    state = read_state(path, info.sha256)
    if state is not None:
        yield from _check_feeds(state, now)
        return
    days = (now.timestamp() - built) / DAY
    text = f"built {days:.1f} days ago"
    if days > OLD_DAYS:
        yield warning(group, "age", text, MAKE_ADVISORIES)
    else:
        yield ok(group, "age", text)
    newest = _days_since(info.newest)
    if newest is None:
        yield unchecked(group, "feeds", "no advisory of it has a date")
    elif newest > OLD_DAYS:
        yield warning(group, "feeds", f"the newest advisory is {newest} days old", MAKE_ADVISORIES)
    else:
        yield ok(group, "feeds", f"the newest advisory is of {info.newest[:10]}")


def _check_feeds(state: UpdateState, now: datetime) -> Iterator[Check]:
    """Yield the age of the database, and the feeds that are old or failed."""
    group = "advisories"
    yield ok(group, "age", f"built {age_text(now - state.built_at)} ago, checked"
             f" {age_text(now - state.checked_at)} ago")  # fmt: skip
    old = state.old_feeds(now)
    for feed in old:
        text = f"last confirmed {age_text(feed.age(now))} ago" if feed.confirmed_at else "never had"
        yield warning(group, feed.name, f"{text}: {feed.error}" if feed.error else text,
                      MAKE_ADVISORIES)  # fmt: skip
    recent = len(state.feeds) - len(old)
    if recent:
        yield ok(group, "feeds", f"{recent} of {len(state.feeds)} confirmed within 2 days")


def _days_since(day: str) -> int | None:
    try:
        return (datetime.now(UTC).date() - date.fromisoformat(day[:10])).days
    except ValueError:
        return None


def check_disk(settings: Settings) -> Iterator[Check]:
    """Yield the free space for the block cache and for a store in a file."""
    reading = settings.reading
    if reading.block_cache:
        yield _space("block cache", Path(reading.block_cache), reading.block_cache_bytes,
                     "free some space, or lower SIDELIGHT_BLOCK_CACHE_GIB")  # fmt: skip
    if settings.store.url.startswith("sqlite:///"):
        path = Path(settings.store.url.removeprefix("sqlite:///").partition("?")[0] or ".")
        yield _space("store", path.absolute().parent, LEAST_FREE, "free some space")


def _space(name: str, directory: Path, least: int, remedy: str) -> Check:
    group = "disk"
    try:
        present = next(path for path in (directory, *directory.absolute().parents) if path.exists())
        free = shutil.disk_usage(present).free
    except OSError as error:
        return fault(group, name, f"{directory}: {error.strerror}", "name another directory")
    if not os.access(present, os.W_OK | os.X_OK):
        return fault(group, name, f"{directory} is not writable", "change its owner or mode")
    text = f"{directory}: {free / 2**30:.1f} GiB free"
    if free < least:
        return warning(group, name, f"{text}, of {least / 2**30:.1f} that may be needed", remedy)
    return ok(group, name, text)


def check_kernel(settings: Settings) -> Iterator[Check]:
    """Yield whether disks are read in a sealed process, and what this kernel lacks for one."""
    group = "kernel"
    if sys.platform != "linux":
        yield fault(group, "Linux", f"this is {platform.system()}", "run Sidelight on Linux")
        return
    yield ok(group, "Linux", platform.release())
    missing = missing_protections()
    lacks = fault if settings.reading.cage_required else warning
    for name in ("seccomp", "Landlock"):
        if name in missing:
            yield lacks(group, name, f"{missing[name]}: readers of disks are not sealed by it",
                        "use a kernel of 5.13 or later with it enabled, and a container runtime"
                        " whose profile allows its calls")  # fmt: skip
        else:
            yield ok(group, name, "available")
    if settings.reading.cage:
        yield ok(group, "SIDELIGHT_CAGE", "disks are read in a process of their own")
    else:
        yield warning(group, "SIDELIGHT_CAGE", "is off: disks are parsed in the process that has"
                      " the credentials", "unset it: the default is on")  # fmt: skip
