"""Collectors' outputs in a bucket: the newest by instance, whatever the order of the folders."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest

from sidelight.aws.ssm import collected_objects
from sidelight.aws.ssm.collected_objects import CollectedObjects, prefix_of
from sidelight.errors import CloudError, LimitError

if TYPE_CHECKING:
    from sidelight.aws.session import Session

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
PREFIX = "fleet/deep-inspection/123456789012/eu-west-1/"
ONE, TWO = "i-0123456789abcdef0", "i-0123abcd"


@dataclass
class Bucket:
    """An S3 client of one bucket, three keys a page."""

    objects: dict[str, tuple[bytes, datetime]] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)
    listings: int = 0

    def put(self, key: str, data: bytes = b"x", hours_ago: float = 1) -> None:
        self.objects[PREFIX + key] = data, NOW - timedelta(hours=hours_ago)

    def list_objects_v2(self, **request: Any) -> dict[str, Any]:
        self.listings += 1
        keys = sorted(key for key in self.objects if key.startswith(request["Prefix"]))
        start = int(request.get("ContinuationToken", 0))
        page = [
            {
                "Key": key, "ETag": f'"{hash(self.objects[key][0])}"',
                "Size": len(self.objects[key][0]), "LastModified": self.objects[key][1],
            }
            for key in keys[start : start + 3]
        ]  # fmt: skip
        more = {"NextContinuationToken": str(start + 3)} if start + 3 < len(keys) else {}
        return {"Contents": page, **more}

    def get_object(self, **request: Any) -> dict[str, Any]:
        self.fetched.append(request["Key"])
        return {"Body": BytesIO(self.objects[request["Key"]][0])}


@dataclass
class Clients:
    bucket: Bucket

    def client(self, service: str) -> Bucket:
        assert service == "s3"
        return self.bucket


def of(bucket: Bucket) -> CollectedObjects:
    session: Session = Clients(bucket)  # type: ignore[assignment]
    return CollectedObjects(session, "b", "123456789012", "eu-west-1", "/fleet/")


def test_the_newest_output_of_each_instance_counts_whatever_the_folders_are() -> None:
    bucket = Bucket()
    bucket.put(f"{ONE}/a-1/2026-11-29T01/awsrunShellScript/0.collect/stdout", b"older", 7)
    bucket.put(f"{ONE}/a-1/2026-11-29T07/awsrunShellScript/0.collect/stdout", b"newer")
    bucket.put(f"{ONE}/a-1/2026-11-29T07/awsrunShellScript/0.collect/stderr", b"newest", 0)
    bucket.put(f"a-1/{TWO}/awsrunShellScript/collect/stdout", b"other order")

    found = of(bucket).newest(NOW)

    assert found.keys() == {ONE, TWO}
    assert of(bucket).read(found[ONE], found[ONE].etag) == b"newer"
    assert found[ONE].day_bytes == len(b"older") + len(b"newer")
    assert bucket.listings == 2


def test_only_the_last_days_bytes_count() -> None:
    bucket = Bucket()
    for number in range(8):
        bucket.put(f"{ONE}/{number}/stdout", b"x" * 100, hours_ago=1 + 6 * number)

    assert of(bucket).newest(NOW)[ONE].day_bytes == 400


def test_an_older_output_is_read_by_its_etag_and_one_that_is_gone_is_an_error() -> None:
    bucket = Bucket()
    bucket.put(f"{ONE}/1/stdout", b"older", 7)
    bucket.put(f"{ONE}/2/stdout", b"newer")
    item = of(bucket).newest(NOW)[ONE]
    (older,) = [etag for etag in item.keys if etag != item.etag]

    assert of(bucket).read(item, older) == b"older"
    with pytest.raises(CloudError, match="is gone"):
        of(bucket).read(item, "unknown")


@pytest.mark.parametrize(
    "key",
    ["i-xyz/stdout", "stdout", f"{ONE}/other", f"x{ONE}/stdout", f"{ONE}/" + "d/" * 9 + "stdout"],
)
def test_other_keys_are_no_outputs(key: str) -> None:
    bucket = Bucket()
    bucket.put(key)

    assert of(bucket).newest(NOW) == {}


def test_a_large_output_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collected_objects, "MAX_OBJECT", 10)
    bucket = Bucket()
    bucket.put(f"{ONE}/stdout", b"x" * 11)
    item = of(bucket).newest(NOW)[ONE]

    with pytest.raises(LimitError):
        of(bucket).read(item, item.etag)


def test_more_keys_than_allowed_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collected_objects, "MOST_KEYS", 5)
    bucket = Bucket()
    for number in range(9):
        bucket.put(f"{ONE}/{number}/stdout")

    with pytest.raises(LimitError):
        of(bucket).newest(NOW)


def test_an_accounts_keys_are_apart() -> None:
    assert prefix_of("", "1", "eu") == "deep-inspection/1/eu"
    assert prefix_of("/a/b/", "1", "eu") == "a/b/deep-inspection/1/eu"
