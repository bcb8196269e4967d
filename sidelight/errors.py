"""The one error tree.

    SidelightError
    ├── UsageError              the caller asked for something that cannot be (exit 2)
    ├── SourceError             bytes could not be had from a disk image or a snapshot
    │   ├── OutOfRangeError     a read past the end of the source
    │   ├── BlockError          one block failed: checksum, truncation, retries spent
    │   ├── SnapshotNotFoundError
    │   ├── SnapshotNotReadyError
    │   ├── AccessDeniedError   also: no credentials
    │   │   ├── KeyDeniedError  the KMS key of an encrypted snapshot
    │   │   │   └── KeyUnusableError  disabled, gone, or not to be shared: no wait changes that
    │   │   ├── RegionDisabledError  the account has not enabled the Region
    │   │   └── OwnCredentialsError  the process has none, or they have expired
    │   ├── ClockSkewError      AWS refuses our signatures: this machine's clock is wrong
    │   └── ThrottledError      the retry budget is spent
    ├── FormatError             bytes do not mean what they should
    │   ├── NotRecognisedError  no such structure here (try the next format)
    │   ├── UnsupportedError    a known format or feature that this reader cannot read
    │   ├── DamagedError        a known structure with impossible values
    │   └── LimitError          hostile input: a cap, a depth or a deadline was met
    ├── PathError               a path in a scanned tree
    │   ├── NoSuchPathError
    │   ├── NotADirectoryInTreeError
    │   ├── IsADirectoryInTreeError
    │   └── LinkLoopError
    ├── CageError               the process that reads disks was stopped, or crashed
    ├── DatabaseError           the advisory database is absent, old or corrupt
    ├── DownloadError           a feed could not be had from its publisher
    ├── IdentityError           an identity provider's answer does not sign a person in
    ├── StoreError              the fleet's store
    │   ├── LeaseLostError      another worker holds the scan now
    │   └── OutdatedCodeError   a newer version's tables do not work with this version
    ├── BrokerError             the queue's broker does not answer
    └── CloudError              an AWS control-plane call failed for good

Every error carries `where`, the coordinates of the fault (snapshot, block, partition, inode, path),
and `what`, one sentence. `str(error)` is `where: what`. Errors are translated at each boundary:
no botocore, struct, sqlite3 or OS error leaves the module that met it.
"""

from __future__ import annotations


class SidelightError(Exception):
    """The root of every error that Sidelight raises on purpose."""

    def __init__(self, what: str, *, where: str = "") -> None:
        super().__init__(what, where)
        self.what = what
        self.where = where

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


class UsageError(SidelightError):
    """The caller asked for something that cannot be."""


class SourceError(SidelightError):
    """Bytes could not be had from a disk image or a snapshot."""


class OutOfRangeError(SourceError):
    """A read past the end of the source."""


class BlockError(SourceError):
    """One block could not be read, or is not what its checksum says."""


class SnapshotNotFoundError(SourceError):
    """The snapshot does not exist, or is not visible to these credentials."""


class SnapshotNotReadyError(SourceError):
    """EBS direct does not let the snapshot be read, as one that is not completed yet.

    AWS documents no code for that: EC2 knows whether the snapshot is pending.
    """


class AccessDeniedError(SourceError):
    """Credentials are missing, or do not allow the call."""


class KeyDeniedError(AccessDeniedError):
    """The KMS key of an encrypted snapshot is denied, disabled or gone."""


class KeyUnusableError(KeyDeniedError):
    """The KMS key is disabled, revoked or gone, or lets nothing be shared: no grant changes it."""


class RegionDisabledError(AccessDeniedError):
    """The account has not enabled the Region, or STS is switched off there."""


class OwnCredentialsError(AccessDeniedError):
    """The process has no credentials, or they have expired: no account has denied anything.

    They may come back, and another worker may have its own.
    """


class ClockSkewError(SourceError):
    """AWS refuses what this machine signs, because this machine's clock is wrong."""


class ThrottledError(SourceError):
    """The service kept throttling until the retry budget was spent."""


class FormatError(SidelightError):
    """Bytes do not mean what they should."""


class NotRecognisedError(FormatError):
    """No such structure here."""


class UnsupportedError(FormatError):
    """A known format or feature that this reader cannot read."""


class DamagedError(FormatError):
    """A known structure with impossible values or a bad checksum."""


class LimitError(FormatError):
    """A size cap, a depth limit, a cycle guard or a deadline was met."""


class PathError(SidelightError):
    """A path in a scanned tree cannot be used as asked."""


class NoSuchPathError(PathError):
    """Nothing has this path."""


class NotADirectoryInTreeError(PathError):
    """A directory was needed."""


class IsADirectoryInTreeError(PathError):
    """A regular file was needed."""


class LinkLoopError(PathError):
    """More symbolic links than the kernel follows (40)."""


class CageError(SidelightError):
    """The caged process that reads a machine's disks was stopped, crashed, or broke its rules.

    `limit` is the bound that it met, `time` or `memory`: another attempt would meet it too. Else it
    is empty.
    """

    def __init__(self, what: str, *, where: str = "", limit: str = "") -> None:
        super().__init__(what, where=where)
        self.limit = limit


class DatabaseError(SidelightError):
    """The advisory database is absent, of another version, or corrupt."""


class DownloadError(SidelightError):
    """A feed could not be had from its publisher, or is not what the publisher says it is."""


class IdentityError(SidelightError):
    """An identity provider's answer does not sign a person in: `what` says why, to that person."""


class StoreError(SidelightError):
    """The fleet's store refused or lost an operation."""


class LeaseLostError(StoreError):
    """The scan is not ours any more: another worker holds it, or it has moved on."""


class OutdatedCodeError(StoreError):
    """A newer version migrated the store, and its tables do not work with this version.

    The process has to end: nothing that it writes is right any more.
    """


class BrokerError(SidelightError):
    """The queue's broker does not answer, or refuses us."""


class CloudError(SidelightError):
    """An AWS control-plane call failed for good; `code` is AWS's error code."""

    def __init__(self, what: str, *, where: str = "", code: str = "") -> None:
        super().__init__(what, where=where)
        self.code = code
