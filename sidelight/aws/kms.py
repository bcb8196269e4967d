"""The keys of encrypted volumes: excluded by a tag, AWS's own, and grants to decrypt under them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from sidelight.aws.session import translate
from sidelight.errors import CloudError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.aws.session import Session


class Kms:
    """One account's keys in one region."""

    def __init__(self, session: Session, account: str, region: str) -> None:
        self._session = session
        self._account = account
        self._region = region

    def tagged(self, key_ids: Iterable[str], tag: str) -> frozenset[str]:
        """Those of these keys that carry the tag, whatever its value.

        A key that does not exist, or is another account's (whose tags KMS tells nobody else), is
        not among them: whether its volume can be read will be seen. Raises AccessDeniedError,
        CloudError.
        """
        own = {key for key in key_ids if key and _owner(key) in ("", self._account)}
        return frozenset(key for key in own if self._has(key, tag))

    def is_managed_by_aws(self, key_id: str) -> bool:
        """Whether AWS manages it, as aws/ebs: a snapshot under such a key cannot be shared.

        One that does not exist, or is another account's, is none. Raises AccessDeniedError,
        CloudError.
        """
        return self._manager(key_id) == "AWS"

    def let_decrypt(self, key_id: str, principal: str, name: str) -> None:
        """Let a role (its ARN) decrypt what is under a customer's key, by a grant of this name.

        KMS makes no second grant of the same name and contents, so that this may be repeated. A
        new one can take minutes to be seen everywhere. Raises AccessDeniedError, CloudError.
        """
        client = self._session.client("kms", account=self._account, region=self._region)
        try:
            client.create_grant(
                KeyId=key_id, GranteePrincipal=principal, Operations=["Decrypt"], Name=name
            )
        except (ClientError, BotoCoreError, OSError) as error:
            raise translate(error, where=f"{key_id}: create_grant") from error

    def _manager(self, key_id: str) -> str:
        client = self._session.client("kms", account=self._account, region=self._region)
        try:
            return str(client.describe_key(KeyId=key_id)["KeyMetadata"]["KeyManager"])
        except (ClientError, BotoCoreError, OSError) as error:
            fault = translate(error, where=f"{key_id}: describe_key")
            if isinstance(fault, CloudError) and fault.code == "NotFoundException":
                return ""
            raise fault from error

    def _has(self, key_id: str, tag: str) -> bool:
        client = self._session.client("kms", account=self._account, region=self._region)
        request: dict[str, Any] = {"KeyId": key_id}
        while True:
            try:
                answer = client.list_resource_tags(**request)
            except (ClientError, BotoCoreError, OSError) as error:
                fault = translate(error, where=f"{key_id}: list_resource_tags")
                if isinstance(fault, CloudError) and fault.code == "NotFoundException":
                    return False
                raise fault from error
            if any(item["TagKey"] == tag for item in answer.get("Tags", ())):
                return True
            if not answer.get("Truncated"):
                return False
            request["Marker"] = answer["NextMarker"]


def _owner(key_id: str) -> str:
    """The account in a key's ARN; empty for a bare id."""
    parts = key_id.split(":")
    return parts[4] if len(parts) > 4 else ""
