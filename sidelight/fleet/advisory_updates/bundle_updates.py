"""Update the advisory database from a bundle: verified, newer than the current one, put in place.

What is refused leaves the current database as it is.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from sidelight.advisories import AdvisoryDatabase
from sidelight.errors import DatabaseError
from sidelight.fleet.advisory_updates.bundle_file import read_manifest, unpack
from sidelight.fleet.advisory_updates.bundle_keys import verifier_of
from sidelight.fleet.advisory_updates.bundle_transport import local_bundle
from sidelight.fleet.advisory_updates.placing import (
    alone,
    candidate_of,
    current_state,
    put_in_place,
)
from sidelight.fleet.advisory_updates.update_state import write_state
from sidelight.fleet.advisory_updates.updater import UpdateOutcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

    from sidelight.aws.session import Session
    from sidelight.fleet.advisory_updates.bundle_file import BundleManifest
    from sidelight.fleet.advisory_updates.update_state import FeedState, UpdateState

AHEAD: Final = timedelta(hours=24)  # more than clocks differ


@dataclass(frozen=True, slots=True)
class BundlePlan:
    """An update from a bundle. `keys` are public keys' files; one of them signed it.

    `kept` is a directory for downloads. `allow_older`: also a bundle that is older than the
    database in place.
    """

    database: Path
    address: str
    keys: tuple[Path, ...]
    kept: Path
    allow_older: bool = False


def update_from_bundle(
    plan: BundlePlan,
    session: Callable[[], Session],
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> UpdateOutcome:
    """Bring the database up to date by a bundle. `session` gives what reads S3.

    Raises UsageError, DatabaseError where the bundle is refused, DownloadError, and AWS's errors.
    """
    verify = verifier_of(plan.keys, plan.address)
    with alone(plan.database):
        path = local_bundle(plan.address, plan.kept, session)
        with _opened(path, plan.address) as stream:
            manifest = read_manifest(stream, verify, plan.address)
            now = clock()
            current = current_state(plan.database)
            state = replace(manifest.state, checked_at=now, bundle=plan.address)
            if current is not None and current.sha256 == state.sha256:
                # The same database: its feeds may have been confirmed since it was built.
                # An older bundle of it must not make way for other older ones.
                built = max(current.built_at, state.built_at)
                state = replace(state, built_at=built, feeds=_confirmed_last(current, state))
                write_state(plan.database, state)
                return UpdateOutcome(plan.database, changed=False, state=state)
            _refuse_untimely(plan, manifest, now)
            with candidate_of(plan.database) as candidate:
                unpack(stream, manifest, candidate, plan.address)
                _check(candidate, manifest, plan.address)
                put_in_place(candidate, plan.database, state)
    return UpdateOutcome(plan.database, changed=True, state=state)


def _opened(path: Path, where: str) -> BinaryIO:
    """Open a bundle, which is read twice. Raises DatabaseError, also for what is not a file."""
    try:
        # A named pipe without a writer would keep the lock.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise DatabaseError(f"cannot be read: {error.strerror}", where=where) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DatabaseError("is not a file: save the bundle in one", where=where)
    return open(descriptor, "rb")  # noqa: PTH123 - of a descriptor


def _confirmed_last(current: UpdateState, bundled: UpdateState) -> tuple[FeedState, ...]:
    """Return each feed of a bundle as it was confirmed last: here, or in the bundle."""
    here = current.by_name()
    never = datetime.min.replace(tzinfo=UTC)
    return tuple(
        max(feed, here.get(feed.name, feed), key=lambda item: item.confirmed_at or never)
        for feed in bundled.feeds
    )


def _refuse_untimely(plan: BundlePlan, manifest: BundleManifest, now: datetime) -> None:
    """Raise DatabaseError for a bundle of the future, or one older than the current database."""
    built = manifest.built_at
    if built > now + AHEAD:
        what = f"it says it was built at {_shown(built)}, which is in the future"
        raise DatabaseError(what, where=plan.address)
    current = _built_at(plan.database)
    if current is not None and built < current and not plan.allow_older:
        what = (
            f"it was built at {_shown(built)}, before the current database of {_shown(current)}:"
            " --allow-older uses it"
        )
        raise DatabaseError(what, where=plan.address)


def _built_at(database: Path) -> datetime | None:
    """Return when the database in place was built; None where none can be read."""
    state = current_state(database)
    if state is not None:
        return state.built_at
    try:
        with AdvisoryDatabase.open(database):
            return datetime.fromtimestamp(database.stat().st_mtime, UTC)
    except (DatabaseError, OSError):
        return None


def _check(candidate: Path, manifest: BundleManifest, where: str) -> None:
    try:
        with AdvisoryDatabase.open(candidate) as opened:
            opened.verify()
            digest = opened.sha256
    except DatabaseError as error:
        raise DatabaseError(error.what, where=where) from error
    if digest != manifest.state.sha256:
        raise DatabaseError("its database has another digest than its manifest", where=where)


def _shown(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
