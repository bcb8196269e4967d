"""What KMS says of encrypted snapshots: which can be shared, and who else can read them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from moto.kms.models import kms_backends
from moto.kms.responses import KmsResponse

from sidelight.localcloud.messages import AwsError

if TYPE_CHECKING:
    from sidelight.localcloud.conditions import Conditions
    from sidelight.localcloud.lags import Lags


class KeyCalls(KmsResponse):
    """moto's KMS, where most keys of AWS's own show nobody their tags. `bind` makes one."""

    conditions: ClassVar[Conditions]

    @classmethod
    def bind(cls, conditions: Conditions) -> type[KeyCalls]:
        """The same under these conditions: moto makes a new object for each request."""
        return type("BoundKeyCalls", (cls,), {"conditions": conditions})

    def describe_key(self) -> str:
        """DescribeKey: AWS manages what is named `alias/aws/...`, which moto makes when asked."""
        document = json.loads(super().describe_key())
        known = document["KeyMetadata"]
        key = self.kms_backend.keys[known["KeyId"]]
        if any(alias.startswith("alias/aws/") for alias in key.aliases):
            key.key_manager = known["KeyManager"] = "AWS"
        return json.dumps(document)

    def create_grant(self) -> str:
        """CreateGrant: a second one of the same name and contents is the first."""
        key = self.kms_backend.describe_key(str(self._get_param("KeyId")))
        members = ("Name", "GranteePrincipal", "RetiringPrincipal", "Operations")
        parameters = [self._get_param(name) for name in members]
        for grant in key.grants.values():
            known = [grant.to_json()[name] for name in members]
            if parameters[0] and known == parameters:
                return json.dumps({"GrantId": grant.id, "GrantToken": grant.token})
        return str(super().create_grant())

    def list_retirable_grants(self) -> str:
        """ListRetirableGrants: those under keys of all accounts in the Region."""
        principal = self._get_param("RetiringPrincipal")
        found = [
            grant.to_json() | {"KeyId": key.arn}
            for backends in list(kms_backends.values())
            for key in list(backends[self.region].keys.values())
            for grant in key.list_retirable_grants(principal)
        ]
        return json.dumps({"Grants": found, "Truncated": False})

    def retire_grant(self) -> str:
        """RetireGrant, by its retiring principal, in any account."""
        arn, grant = str(self._get_param("KeyId")), self._get_param("GrantId")
        owner = arn.split(":")[4] if arn.count(":") >= 5 else self.current_account
        key = kms_backends[owner][self.region].describe_key(arn)
        if grant not in key.grants:
            raise AwsError("NotFoundException", f"Grant ID {grant} not found")
        key.retire_grant(grant)
        return "{}"

    def list_resource_tags(self) -> str:
        """ListResourceTags; denied for a key that AWS manages, unless that is aws/ebs."""
        backend = self.kms_backend
        key = backend.keys.get(backend.get_key_id(str(self._get_param("KeyId"))))
        shows_tags = key is None or key.key_manager != "AWS" or "alias/aws/ebs" in key.aliases
        if self.conditions.hides_aws_tags and not shows_tags:
            user = f"arn:aws:iam::{self.current_account}:root"
            message = f"User: {user} is not authorized to perform: kms:ListResourceTags"
            raise AwsError("AccessDeniedException", message)
        return str(super().list_resource_tags())


def shareable(snapshot: Any) -> bool:
    """False under a key that AWS manages (aws/ebs): its policy lets no other account in."""
    key = _key(snapshot)
    return key is None or key.key_manager != "AWS"


def usable(snapshot: Any) -> bool:
    """False under a key that is disabled, or waits for its deletion."""
    key = _key(snapshot)
    return key is None or (key.enabled and key.key_state == "Enabled")


def readable(snapshot: Any, account: str, lags: Lags, connection: int) -> bool:
    """Whether the account may decrypt: its own, or by the key's policy, or by a grant.

    A grant counts when the host that the connection reaches has learnt of it.

    Of a policy are read the statements that allow a whole account or `arn:aws:iam::ACCOUNT:…`;
    which of the account's principals calls is not looked at.
    """
    key = _key(snapshot)
    if key is None or account == snapshot.owner_id:
        return True
    principals = [
        grant.grantee_principal
        for grant in key.grants.values()
        if "Decrypt" in grant.operations and lags.granted(grant.id, connection)
    ]
    for statement in json.loads(key.policy)["Statement"]:
        allowed = {"kms:Decrypt", "kms:*"} & set(_list(statement["Action"]))
        if statement["Effect"] == "Allow" and allowed:
            principals += _list(statement["Principal"]["AWS"])
    return any(account in (one, _account_of(one)) for one in principals)


def grants(account: str, region: str) -> list[str]:
    """The ids of all grants under the account's keys in a region."""
    keys = kms_backends[account][region].keys.values()
    return [grant for key in keys for grant in key.grants]


def _key(snapshot: Any) -> Any:
    """Its key as moto has it; None where it is not encrypted, or by a key that nobody made."""
    if not snapshot.encrypted or not snapshot.kms_key_id:
        return None
    backend = kms_backends[snapshot.owner_id][snapshot.region]
    return backend.keys.get(backend.get_key_id(snapshot.kms_key_id))


def _account_of(principal: str) -> str:
    parts = principal.split(":")
    return parts[4] if len(parts) > 4 else ""


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
