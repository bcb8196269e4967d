"""What AWS authorizes of a request: each action on each resource, with the condition keys.

Resources and keys are those of the Service Authorization Reference. Of services whose calls are not
taken apart here only the action counts: the resource is `*`, which a policy's ARN does not match,
so that these are limited to actions whose statements say `*`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from moto.ec2.models import ec2_backends
from moto.kms.models import kms_backends

from sidelight.localcloud.ec2.listing import tags_of
from sidelight.localcloud.policies.evaluation import AccessRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sidelight.localcloud.messages import Request
    from sidelight.localcloud.snapshot_store import Shelf

Context = dict[str, list[str]]
# IAM checks nothing for the first; a grant allows the second to its retiring principal.
UNCHECKED = frozenset({"sts:GetCallerIdentity", "kms:RetireGrant"})
# Operations whose action has another name.
RENAMED = {
    "monitoring:GetMetricData": "cloudwatch:GetMetricData",
    "sns:PublishBatch": "sns:Publish",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
}


class Accesses:
    """Takes requests of one account and Region apart."""

    def __init__(self, shelf: Shelf, account: str, region: str) -> None:
        """`account`: the caller's."""
        self._shelf = shelf
        self._account = account
        self._region = region

    def of(self, operation: str, request: Request, snapshot: str = "") -> list[AccessRequest]:
        """Return the accesses of a request; `snapshot`: the one that EBS direct is asked for."""
        if operation in UNCHECKED:
            return []
        service, _, name = operation.partition(":")
        if service == "ebs":
            return list(self._blocks(operation, snapshot))
        if service == "s3":
            return [self._object(request)]
        members = _members(request)
        if service == "ec2":
            return list(self._ec2(name, members))
        if service == "kms" and "KeyId" in members:
            return [self._key_access(operation, members)]
        action = RENAMED.get(operation, operation)
        accesses = [
            AccessRequest(action, resource) for resource in self._resources(service, members)
        ]
        if operation == "sts:AssumeRole" and "Tags.member.1.Key" in members:
            accesses.append(AccessRequest("sts:TagSession", str(members["RoleArn"])))
        return accesses

    def _ec2(self, name: str, members: Mapping[str, Any]) -> Iterator[AccessRequest]:
        if name == "CreateSnapshots":
            yield from self._creation(members)
        elif name in ("DeleteSnapshot", "ModifySnapshotAttribute"):
            snapshot = str(members.get("SnapshotId", ""))
            context = self._snapshot_context(snapshot) | _sharing(members)
            yield AccessRequest(f"ec2:{name}", self._snapshot_arn(snapshot), context)
        elif name == "CreateTags":
            for snapshot in _numbered(members, "ResourceId"):
                context = self._snapshot_context(snapshot) | _request_tags(members, "Tag.")
                yield AccessRequest("ec2:CreateTags", self._snapshot_arn(snapshot), context)
        else:
            yield AccessRequest(f"ec2:{name}")

    def _creation(self, members: Mapping[str, Any]) -> Iterator[AccessRequest]:
        """CreateSnapshots: the instance, each volume, the snapshots to be, and their tags."""
        instance_id = str(members.get("InstanceSpecification.InstanceId", ""))
        backend = ec2_backends[self._account][self._region]
        place = f"arn:aws:ec2:{self._region}:{self._account}"
        yield AccessRequest(
            "ec2:CreateSnapshots", f"{place}:instance/{instance_id}",
            _resource_tags(backend.tags.get(instance_id, {})),
        )  # fmt: skip
        left_out = set(_numbered(members, "InstanceSpecification.ExcludeDataVolumeId"))
        for instance in backend.all_instances():
            if instance.id == instance_id:
                for _, device in instance.get_block_device_mapping:
                    if device.volume_id not in left_out:
                        tags = _resource_tags(backend.tags.get(device.volume_id, {}))
                        arn = f"{place}:volume/{device.volume_id}"
                        yield AccessRequest("ec2:CreateSnapshots", arn, tags)
        tags = _request_tags(members, "TagSpecification.1.Tag.")
        yield AccessRequest("ec2:CreateSnapshots", self._snapshot_arn("snap-new"), tags)
        if tags:
            context = tags | {"ec2:CreateAction": ["CreateSnapshots"]}
            yield AccessRequest("ec2:CreateTags", self._snapshot_arn("snap-new"), context)

    def _blocks(self, operation: str, snapshot_id: str) -> Iterator[AccessRequest]:
        yield AccessRequest(
            operation, self._snapshot_arn(snapshot_id), self._snapshot_context(snapshot_id)
        )
        snapshot = self._shelf.snapshots.get(snapshot_id)
        if snapshot is not None and snapshot.encrypted and snapshot.kms_key_id:
            arn, context = self._key(str(snapshot.kms_key_id), snapshot.owner_id)
            context["kms:ViaService"] = [f"ec2.{self._region}.amazonaws.com"]
            context["kms:EncryptionContext:aws:ebs:id"] = [str(snapshot.volume_id)]
            yield AccessRequest("kms:Decrypt", arn, context)

    def _key_access(self, operation: str, members: Mapping[str, Any]) -> AccessRequest:
        arn, context = self._key(str(members["KeyId"]), self._account)
        for member, key in (
            ("GranteePrincipal", "kms:GranteePrincipal"),
            ("RetiringPrincipal", "kms:RetiringPrincipal"),
            ("Operations", "kms:GrantOperations"),
        ):
            if member in members:
                value = members[member]
                context[key] = list(value) if isinstance(value, list) else [str(value)]
        return AccessRequest(operation, arn, context)

    def _key(self, key: str, owner: str) -> tuple[str, Context]:
        """Return a key's ARN and context. Tags are visible in the key's own account."""
        arn = key if key.startswith("arn:") else f"arn:aws:kms:{self._region}:{owner}:key/{key}"
        owner = arn.split(":")[4]
        context: Context = {"aws:ResourceAccount": [owner]}
        if owner == self._account:
            backend = kms_backends[owner][self._region]
            known = backend.tagger.get_tag_dict_for_resource(backend.get_key_id(arn))
            context |= _resource_tags(known)
        return arn, context

    def _snapshot_arn(self, snapshot: str) -> str:
        return f"arn:aws:ec2:{self._region}::snapshot/{snapshot}"

    def _snapshot_context(self, snapshot_id: str) -> Context:
        """Return a snapshot's tags, which its owner alone sees, and its account."""
        snapshot = self._shelf.snapshots.get(snapshot_id)
        if snapshot is None:
            return {}
        context: Context = {"aws:ResourceAccount": [str(snapshot.owner_id)]}
        if snapshot.owner_id == self._account:
            context |= _resource_tags({tag["Key"]: tag["Value"] for tag in tags_of(snapshot)})
        return context

    def _object(self, request: Request) -> AccessRequest:
        bucket, _, key = request.path.lstrip("/").partition("/")
        if not key:
            return AccessRequest("s3:ListBucket", f"arn:aws:s3:::{bucket}")
        name = {"GET": "GetObject", "HEAD": "GetObject", "DELETE": "DeleteObject"}.get(
            request.method, "PutObject"
        )
        if request.method == "DELETE" and "uploadId" in request.query:
            name = "AbortMultipartUpload"
        return AccessRequest(f"s3:{name}", f"arn:aws:s3:::{bucket}/{key}")

    def _resources(self, service: str, members: Mapping[str, Any]) -> list[str]:
        place = f"{self._region}:{self._account}"
        by_member = {
            "iam": [("PolicySourceArn", "{}")],
            "sts": [("RoleArn", "{}")],
            "sns": [("TopicArn", "{}")],
            "ssm": [
                ("Name", f"arn:aws:ssm:{place}:document/{{}}"),
                ("SyncName", f"arn:aws:ssm:{place}:resource-data-sync/{{}}"),
                ("AssociationId", f"arn:aws:ssm:{place}:association/{{}}"),
            ],
            "servicequotas": [("QuotaCode", f"arn:aws:servicequotas:{place}:ebs/{{}}")],
            "sqs": [("QueueName", f"arn:aws:sqs:{place}:{{}}")],
        }
        found = [
            form.format(members[member])
            for member, form in by_member.get(service, [])
            if member in members
        ]
        if service == "sqs" and "QueueUrl" in members:
            found = [f"arn:aws:sqs:{place}:{str(members['QueueUrl']).rpartition('/')[2]}"]
        return found or ["*"]


def _members(request: Request) -> dict[str, Any]:
    """Return a request's members, of the JSON protocol or flat as the query protocol has them."""
    body = request.body.decode("utf-8", "replace")
    if body.lstrip().startswith("{"):
        document = json.loads(body)
        return document if isinstance(document, dict) else {}
    return dict(parse_qsl(body, keep_blank_values=True)) | dict(request.query)


def _numbered(members: Mapping[str, Any], name: str) -> list[str]:
    prefix = f"{name}."
    return [str(value) for key, value in members.items() if key.startswith(prefix)]


def _request_tags(members: Mapping[str, Any], prefix: str) -> Context:
    keys = {
        key.removesuffix(".Key"): str(value)
        for key, value in members.items()
        if key.startswith(prefix) and key.endswith(".Key")
    }
    if not keys:
        return {}
    context: Context = {"aws:TagKeys": list(keys.values())}
    for place, key in keys.items():
        context[f"aws:RequestTag/{key}"] = [str(members.get(f"{place}.Value", ""))]
    return context


def _resource_tags(tags: Mapping[str, str]) -> Context:
    return {f"aws:ResourceTag/{key}": [value] for key, value in tags.items()}


def _sharing(members: Mapping[str, Any]) -> Context:
    """Return whom ModifySnapshotAttribute adds and removes, in both of its forms."""
    context: Context = {}
    for change in ("Add", "Remove"):
        prefix = f"CreateVolumePermission.{change}."
        plain = members.get("OperationType") == change.lower()
        for member, key, form in (
            ("UserId", "userId", "UserId"),
            ("Group", "group", "UserGroup"),
        ):
            values = [
                str(value)
                for name, value in members.items()
                if (name.startswith(prefix) and name.endswith(f".{member}"))
                or (plain and name.startswith(f"{form}."))
            ]
            if values:
                context[f"ec2:{change}/{key}"] = values
    return context
