"""Bundles in S3: downloaded when they changed, and resumed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sidelight.aws.bundle_objects import download_object
from sidelight.aws.session import Session
from sidelight.errors import CloudError
from sidelight.localcloud.server import LocalCloud

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.services
BUCKET, KEY, DATA = "advisories", "team/sidelight.bundle", bytes(range(256)) * 5000


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    with LocalCloud(tmp_path / "cloud") as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        session = Session()
        session.client("s3").create_bucket(Bucket=BUCKET)
        put(session, DATA)
        yield session


def put(session: Session, data: bytes) -> None:
    session.client("s3").put_object(Bucket=BUCKET, Key=KEY, Body=data)


def begin(session: Session, path: Path, data: bytes, edition: bytes) -> None:
    """What a killed download of an edition leaves: some bytes, and the edition's ETag."""
    put(session, edition)
    etag = session.client("s3").head_object(Bucket=BUCKET, Key=KEY)["ETag"]
    path.with_name(f".{path.name}.part").write_bytes(data)
    path.with_name(f".{path.name}.part.etag").write_text(json.dumps(etag))


def test_an_object_is_downloaded_once_and_again_when_it_changed(
    session: Session, tmp_path: Path
) -> None:
    path = tmp_path / "bundle"
    assert download_object(session, BUCKET, KEY, path)
    assert path.read_bytes() == DATA
    assert not download_object(session, BUCKET, KEY, path)
    put(session, b"another")
    assert download_object(session, BUCKET, KEY, path)
    assert path.read_bytes() == b"another"


def test_an_interrupted_download_of_the_same_edition_goes_on(
    session: Session, tmp_path: Path
) -> None:
    path = tmp_path / "bundle"
    # Bytes that the object does not have show that they were not sent again.
    begin(session, path, b"x" * 1000, DATA)
    assert download_object(session, BUCKET, KEY, path)
    assert path.read_bytes() == b"x" * 1000 + DATA[1000:]


def test_an_interrupted_download_of_another_edition_begins_again(
    session: Session, tmp_path: Path
) -> None:
    path = tmp_path / "bundle"
    begin(session, path, b"x" * 1000, b"the first edition")
    put(session, DATA)
    assert download_object(session, BUCKET, KEY, path)
    assert path.read_bytes() == DATA


def test_an_absent_object_is_an_error_with_its_address(session: Session, tmp_path: Path) -> None:
    with pytest.raises(CloudError, match=r"s3://advisories/none.*NoSuchKey"):
        download_object(session, BUCKET, "none", tmp_path / "bundle")
    assert list(tmp_path.glob("bundle*")) == []
