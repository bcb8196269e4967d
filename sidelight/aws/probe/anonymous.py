"""Anonymise a probe's recording, and check that nothing in it identifies an account.

Only the members of two tables are kept of requests and answers. Values of members in IDS, and all
texts in messages that look like an id, are replaced consistently: `snap-00000000000000001`. Times
become seconds since the probe's start. The check then searches for all originals, and for any other
text of their forms.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING

from sidelight.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sidelight.aws.probe.recorder import Exchange
    from sidelight.documents.probe import RecordedCall, RecordingHead

FORMAT, VERSION = "sidelight-probe", 1
# Members whose values do not identify an account.
KEPT = frozenset(
    {
        "State", "Progress", "VolumeSize", "Size", "Encrypted", "StorageTier", "VolumeType",
        "BlockIndex", "BlockSize", "DataLength", "DataOffset", "MaxResults", "Attribute", "DryRun",
        "ResourceType", "RetentionPeriodValue", "RetentionPeriodUnit", "LockState", "Status",
        "RootDeviceType", "Operations",
    }
)  # fmt: skip
IDS = frozenset(
    {
        "SnapshotId", "VolumeId", "InstanceId", "OwnerId", "UserId", "KmsKeyId", "KeyId", "GrantId",
        "GranteePrincipal", "SnapshotIds", "VolumeIds", "InstanceIds", "BlockToken", "NextToken",
    }
)  # fmt: skip
TIMES = frozenset({"StartTime", "CompletionTime", "RecycleBinEnterTime", "RecycleBinExitTime"})
TEXTS = frozenset({"StateMessage", "Description"})
CONTAINERS = frozenset(
    {
        "Snapshots", "Volumes", "Blocks", "Rules", "RetentionPeriod", "CreateVolumePermission",
        "Add", "Remove", "InstanceSpecification", "Attachments",
    }
)  # fmt: skip
LONGEST_LIST = 3  # of blocks and snapshots more say no more
LONGEST_TEXT = 2000

_RESOURCE = re.compile(r"\b([a-z]{1,12})-([0-9a-f]{17}|[0-9a-f]{8})\b")
_UUID = re.compile(
    r"\b(?:mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b", re.IGNORECASE
)
_ACCOUNT = re.compile(r"(?<![0-9])[0-9]{12}(?![0-9])")
_ADDRESS = re.compile(r"(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9.])")
_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]++\.[\w.-]++")
_ENCODED = re.compile(r"(Encoded authorization failure message: ).*", re.DOTALL)
_REQUEST = re.compile(r"(Request ?ID:? )\S+", re.IGNORECASE)
# Of `assumed-role/NAME/SESSION`, `user/PATH/NAME`, `alias/NAME` the names.
_NAMED = re.compile(r"\b(assumed-role|role|user|group|alias)/([\w+=,.@/-]+)")
_ACCESS_KEY = re.compile(r"\b[A-Z0-9]{4}[A-Z2-7]{12,124}\b")
_LONG = re.compile(r"[A-Za-z0-9+/=_-]{40,}")
_PATTERNS = (_RESOURCE, _UUID, _ACCOUNT, _ADDRESS, _MAIL, _ACCESS_KEY, _LONG)


class Anonymous:
    """Replaces identifiers consistently, and checks. `names`: further texts that must not appear.

    Names are the caller's user, role and session, the profile, aliases: no pattern matches them.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._replaced: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._names: list[str] = []
        self._learn(names)

    def lines(self, exchanges: Iterable[Exchange], head: RecordingHead, begun: float) -> list[str]:
        """Return the recording, a JSON document per line. `begun`: seconds since the epoch.

        Raises UsageError where an original is still in it; then nothing may be written.
        """
        exchanges = list(exchanges)
        for exchange in exchanges:  # names that a later message reveals are replaced earlier, too
            self._document(exchange, begun)
        documents = [self._document(exchange, begun) for exchange in exchanges]
        for number, document in enumerate(documents, 2):
            self._check(document, number)
        return [json.dumps(document, sort_keys=True) for document in (head, *documents)]

    def text(self, text: str) -> str:
        """Return a message in which all names, and all texts like ids, are replaced."""
        text = _ENCODED.sub(r"\1removed", text[:LONGEST_TEXT])
        text = _REQUEST.sub(r"\1removed", text)
        text = _NAMED.sub(self._role, text)
        for name in self._names:
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", lambda m: self._name(m[0]), text)
        text = _MAIL.sub(lambda m: self._of("mail", m[0]), text)
        text = _UUID.sub(lambda m: self._of("uuid", m[0]), text)
        text = _RESOURCE.sub(lambda m: self._of(m[1], m[0]), text)
        text = _ACCOUNT.sub(lambda m: self._of("account", m[0]), text)
        text = _ADDRESS.sub(lambda m: self._of("address", m[0]), text)
        text = _ACCESS_KEY.sub(lambda m: self._of("access-key", m[0]), text)
        return _LONG.sub(lambda m: self._of("token", m[0]), text)

    def _learn(self, names: Iterable[str]) -> None:
        fresh = {name for name in names if len(name) > 2 and name not in self._replaced.values()}
        self._names = sorted(fresh.union(self._names), key=len, reverse=True)

    def _document(self, exchange: Exchange, begun: float) -> RecordedCall:
        found: RecordedCall = {
            "step": exchange.step,
            "at": round(exchange.at, 3),
            "took": round(exchange.took, 3),
            "source": exchange.source,
            "operation": exchange.operation,
            "status": exchange.status,
            "request": self._members(exchange.request, begun),
        }
        if exchange.ok:
            found["answer"] = self._members(exchange.answer, begun)
        else:
            found["error"] = {"code": exchange.code, "message": self.text(exchange.message)}
            if exchange.reason:
                found["error"]["reason"] = exchange.reason
        return found

    def _members(self, members: Mapping[str, object], begun: float) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, value in members.items():
            if key in KEPT:
                found[key] = value if isinstance(value, (int, float)) else _short(value)
            elif key in IDS:
                found[key] = self._ids(key, value)
            elif key in TIMES and isinstance(value, datetime):
                found[key] = round(value.timestamp() - begun, 3)
            elif key in TEXTS:
                found[key] = self.text(str(value))
            elif key in CONTAINERS and isinstance(value, dict):
                found[key] = self._members(value, begun)
            elif key in CONTAINERS and isinstance(value, list):
                parts = [item for item in value if isinstance(item, dict)]
                found[key] = [self._members(item, begun) for item in parts[:LONGEST_LIST]]
                found[f"{key}Count"] = len(value)
        return found

    def _ids(self, key: str, value: object) -> object:
        if isinstance(value, list):
            return [self._ids(key, item) for item in value]
        text = str(value)
        if key.endswith("Token"):
            return self._of("token", text)
        changed = self.text(text)
        return changed if changed != text else self._of("id", text)

    def _role(self, match: re.Match[str]) -> str:
        parts = match[2].split("/")
        self._learn(parts)
        return "/".join([match[1], *(self._of("name", part) for part in parts if part)])

    def _name(self, original: str) -> str:
        return self._of("name", original)

    def _of(self, kind: str, original: str) -> str:
        if original in self._replaced.values():
            return original  # by an earlier pattern
        if original not in self._replaced:
            number = self._counts[kind] = self._counts.get(kind, 0) + 1
            self._replaced[original] = _replacement(kind, number)
        return self._replaced[original]

    def _check(self, document: RecordedCall, number: int) -> None:
        """Raise UsageError where a string contains an original or a text of the same form."""
        replacements = set(self._replaced.values())
        originals = [*self._replaced, *self._names]
        members = (document["request"], document.get("answer"), document.get("error"))
        for text in (text for member in members for text in _strings(member)):
            bare = text
            for replacement in sorted(replacements, key=len, reverse=True):
                bare = bare.replace(replacement, "")
            known = any(_within(original, bare) for original in originals)
            if known or any(pattern.search(bare) for pattern in _PATTERNS):
                what = "the recording still names something of this account; it is not written"
                raise UsageError(what, where=f"line {number}, {document['operation']}")


def _replacement(kind: str, number: int) -> str:
    if kind == "account":
        return f"1{number:011d}"
    if kind == "uuid":
        return f"00000000-0000-0000-0000-a{number:011d}"  # not twelve digits, as accounts are
    if kind == "address":
        return f"192.0.2.{number % 256}"  # RFC 5737: of documentation
    if kind in ("token", "name", "mail", "access-key", "id"):
        return f"{kind}-{number}"
    return f"{kind}-{number:017x}"


def _short(value: object) -> object:
    if isinstance(value, list):
        return [_short(item) for item in value[:LONGEST_LIST]]
    return str(value)[:100]


def _within(original: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(original)}(?!\w)", text) is not None


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
