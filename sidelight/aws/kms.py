"""Keys that say by a tag that their volumes are not to be scanned."""

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

        A key that does not exist, or is another account's, is not among them: whether its volume
        can be read will be seen. Raises AccessDeniedError, CloudError.
        """
        return frozenset(key for key in set(key_ids) if key and self._has(key, tag))

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
