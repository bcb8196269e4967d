"""Put a new database in the place of the old one; one update at a time.

A database that is a symbolic link is replaced behind it. All files that belong to a database are
beside its file, so that those who use it by different names agree.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sidelight.advisories import AdvisoryDatabase
from sidelight.errors import DatabaseError, UsageError
from sidelight.fleet.advisory_updates.update_state import read_state, write_state
from sidelight.user_files import behind_links

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sidelight.fleet.advisory_updates.update_state import UpdateState


@contextmanager
def alone(database: Path) -> Iterator[None]:
    """Keep other updates of this database out. Raises UsageError where one runs."""
    database = behind_links(database)
    path = database.with_name(f".{database.name}.lock")
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        # A link must not lead to a file that is then truncated.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        what = f"cannot be written: {error.strerror}"
        raise UsageError(what, where=str(path)) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError("another update of it runs", where=str(database)) from error
        yield
    finally:
        os.close(descriptor)


@contextmanager
def candidate_of(database: Path) -> Iterator[Path]:
    """Yield a path beside the database for its successor; what is there afterwards is deleted.

    A candidate of a killed update is deleted first. Raises UsageError for a link to nowhere.
    """
    database = behind_links(database)
    path = database.with_name(f".{database.name}.candidate")
    for older in database.parent.glob(f".{database.name}.candidate*"):
        older.unlink(missing_ok=True)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def current_state(database: Path) -> UpdateState | None:
    """Return the state of the database in place; None without one, or for one of another kind."""
    try:
        with AdvisoryDatabase.open(database) as opened:
            return read_state(database, opened.sha256)
    except DatabaseError:
        return None


def put_in_place(candidate: Path, database: Path, state: UpdateState) -> None:
    """Replace the database atomically, then write its state. Raises DatabaseError, UsageError.

    The file's time becomes that of the build, which other machines' databases keep.
    """
    built = state.built_at.timestamp()
    database = behind_links(database)
    try:
        os.utime(candidate, (built, built))
        candidate.replace(database)
        descriptor = os.open(database.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        what = f"cannot be put in place: {error.strerror}"
        raise DatabaseError(what, where=str(database)) from error
    write_state(database, state)
