"""KMS keys of encrypted volumes: exclusion tags, AWS managed keys, and grants to decrypt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.aws.answers import required
from sidelight.aws.faults import CALL_FAILURES, translate, translated
from sidelight.errors import AccessDeniedError, CloudError, OwnCredentialsError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mypy_boto3_kms.type_defs import (
        ListResourceTagsRequestTypeDef,
        ListRetirableGrantsRequestTypeDef,
    )

    from sidelight.aws.session import Session

MOST_PAGES: Final = 1_000  # of 100 grants, or of 50 tags


class Kms:
    """The KMS keys of one account-region."""

    def __init__(self, session: Session, account: str, region: str) -> None:
        self._session = session
        self.account = account
        self.region = region

    def tagged(self, key_ids: Iterable[str], tag: str) -> frozenset[str]:
        """Return those of these keys that carry the tag, with any value.

        They do not include a key that does not exist, or is another account's (KMS shows its tags
        to that account only): the scan will show whether its volume can be read. Nor do they
        include AWS managed keys. Raises AccessDeniedError, CloudError.
        """
        own = {key for key in key_ids if key and self.is_own(key)}
        return frozenset(key for key in own if self._has(key, tag))

    def is_managed_by_aws(self, key_id: str) -> bool:
        """Whether AWS manages the key, as aws/ebs: a snapshot under such a key cannot be shared.

        False for a key that does not exist or is another account's. Raises AccessDeniedError,
        CloudError.
        """
        return self._manager(key_id) == "AWS"

    def is_own(self, key_id: str) -> bool:
        """Whether the key is this account's: KMS shows its tags to no other account."""
        return _owner(key_id) in ("", self.account)

    def let_decrypt(self, key_id: str, principal: str, name: str) -> None:
        """Let a role (its ARN) decrypt data under a customer's key, by a grant of this name.

        KMS creates no second grant of the same name and contents, so the call is idempotent. A new
        grant can take minutes to be visible everywhere. The role may retire the grant, without any
        permission in the key's account. Raises AccessDeniedError, CloudError.
        """
        client = self._session.client("kms", account=self.account, region=self.region)
        with translated(f"{key_id}: create_grant"):
            client.create_grant(
                KeyId=key_id, GranteePrincipal=principal, RetiringPrincipal=principal,
                Operations=["Decrypt"], Name=name,
            )  # fmt: skip

    def _manager(self, key_id: str) -> str:
        client = self._session.client("kms", account=self.account, region=self.region)
        try:
            answer = client.describe_key(KeyId=key_id)
            return str(answer.get("KeyMetadata", {}).get("KeyManager", ""))
        except CALL_FAILURES as error:
            fault = translate(error, where=f"{key_id}: describe_key")
            if isinstance(fault, CloudError) and fault.code == "NotFoundException":
                return ""
            raise fault from error

    def _is_of_aws(self, key_id: str) -> bool:
        """Whether AWS manages the key; False also where KMS does not answer."""
        try:
            return self.is_managed_by_aws(key_id)
        except (AccessDeniedError, CloudError):
            return False

    def _has(self, key_id: str, tag: str) -> bool:
        client = self._session.client("kms", account=self.account, region=self.region)
        request: ListResourceTagsRequestTypeDef = {"KeyId": key_id}
        for _page in range(MOST_PAGES):
            try:
                answer = client.list_resource_tags(**request)
            except CALL_FAILURES as error:
                fault = translate(error, where=f"{key_id}: list_resource_tags")
                if isinstance(fault, CloudError) and fault.code == "NotFoundException":
                    return False
                # Some AWS managed keys show their tags to nobody, and nobody can tag them.
                own = isinstance(fault, OwnCredentialsError)
                denied = isinstance(fault, AccessDeniedError) and not own
                if denied and self._is_of_aws(key_id):
                    return False
                raise fault from error
            if any(item.get("TagKey") == tag for item in answer.get("Tags") or ()):
                return True
            if not answer.get("Truncated"):
                return False
            request["Marker"] = required(
                answer.get("NextMarker"), "NextMarker", f"{key_id}: list_resource_tags"
            )
        raise CloudError(f"more than {MOST_PAGES} pages", where=f"{key_id}: list_resource_tags")


class RetirableGrants:
    """The grants of one Region that our own identity may retire: those that we created.

    Called with our own credentials, for keys of all accounts.
    """

    def __init__(self, session: Session, region: str) -> None:
        self._client = session.client("kms", region=region)
        self._region = region

    def of(self, principal: str, account: str, name: str) -> list[tuple[str, str]]:
        """Return (key, grant) of each grant of this name under the account's keys.

        Needs kms:ListRetirableGrants. Raises AccessDeniedError, CloudError.
        """
        found: list[tuple[str, str]] = []
        request: ListRetirableGrantsRequestTypeDef = {"RetiringPrincipal": principal, "Limit": 100}
        where = f"{self._region} list_retirable_grants"
        for _page in range(MOST_PAGES):
            with translated(where):
                answer = self._client.list_retirable_grants(**request)
            for item in answer.get("Grants") or ():
                key = str(item.get("KeyId") or "")
                if item.get("Name") == name and _owner(key) == account:
                    found.append((key, required(item.get("GrantId"), "GrantId", where)))
            if not answer.get("Truncated"):
                return found
            request["Marker"] = required(answer.get("NextMarker"), "NextMarker", where)
        raise CloudError(f"more than {MOST_PAGES} pages", where=where)

    def retire(self, key_id: str, grant_id: str) -> None:
        """Retire a grant, which may be gone already. Raises AccessDeniedError, CloudError."""
        try:
            with translated(f"{key_id}: retire_grant"):
                self._client.retire_grant(KeyId=key_id, GrantId=grant_id)
        except CloudError as error:
            if error.code != "NotFoundException":
                raise


def _owner(key_id: str) -> str:
    """Return the account in a key's ARN; empty for a bare id."""
    parts = key_id.split(":")
    return parts[4] if len(parts) > 4 else ""
