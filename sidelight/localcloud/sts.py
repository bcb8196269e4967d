"""AssumeRole as strict as the service: roles that exist, whom they trust, how long they last.

Of a trust policy are read the principals (an account or a role) and the conditions on
sts:ExternalId; a statement with any other condition is taken to allow nothing.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote

from moto.iam.models import iam_backends
from moto.sts.responses import TokenResponse

from sidelight.localcloud.ec2.base import CONNECTION
from sidelight.localcloud.ec2.regions import NOT_OPTED_IN, opt_in_status
from sidelight.localcloud.messages import AwsError
from sidelight.localcloud.refusals import text

if TYPE_CHECKING:
    from moto.core.responses import ActionResult

    from sidelight.localcloud.clock import Clock
    from sidelight.localcloud.conditions import Conditions
    from sidelight.localcloud.lags import Lags

# How tokens of STS's regional endpoints begin, which are good in all Regions (version 2); those of
# the global endpoint begin otherwise, and opt-in Regions refuse them (version 1).
VERSION_2 = "IQoJb3JpZ2luX2Vj"
# A role that is assumed with a role's credentials: "role chaining".
CHAINED_SECONDS = 3600


def is_version_1(token: str) -> bool:
    """Whether a session token is of STS's global endpoint; no token is none."""
    return bool(token) and not token.startswith(VERSION_2)


class Sessions:
    """Until when each access key that STS gave is good, by the local cloud's clock.

    `strict`: only roles that exist can be assumed, by whom they trust. `seconds`: the most that
    any session lasts.
    """

    def __init__(self, clock: Clock, *, strict: bool = False, seconds: int = 12 * 3600) -> None:
        self.clock = clock
        self.strict = strict
        self.seconds = seconds
        self._until: dict[str, float] = {}

    def begin(self, access_key: str, seconds: int) -> datetime:
        """Remember a new session; its end."""
        until = self.clock.now() + seconds
        self._until[access_key] = until
        return datetime.fromtimestamp(until, UTC)

    def chained(self, access_key: str) -> bool:
        """Whether the key is a role's."""
        return access_key in self._until

    def expired(self, access_key: str) -> bool:
        """Whether the session has ended; a key that STS did not give never ends."""
        return self._until.get(access_key, float("inf")) <= self.clock.now()


class RoleCalls(TokenResponse):
    """moto's STS, checked. `bind` makes one for the sessions of a local cloud."""

    sessions: ClassVar[Sessions]
    lags: ClassVar[Lags]
    conditions: ClassVar[Conditions]

    @classmethod
    def bind(cls, sessions: Sessions, lags: Lags, conditions: Conditions) -> type[RoleCalls]:
        """The same for these sessions: moto makes a new object for each request."""
        members = {"sessions": sessions, "lags": lags, "conditions": conditions}
        return type("BoundRoleCalls", (cls,), members)

    def get_caller_identity(self) -> ActionResult:
        """GetCallerIdentity, where the caller's account has the Region."""
        if self._sl_is_disabled():
            message = "The security token included in the request is invalid"
            raise AwsError("InvalidClientTokenId", message, status=403)
        return super().get_caller_identity()

    def assume_role(self) -> ActionResult:
        """AssumeRole."""
        arn = str(self._get_param("RoleArn"))
        caller = self.get_access_key()
        if self._sl_is_disabled():
            code = "RegionDisabledException"
            account = arn.split(":", 5)[4] if arn.count(":") > 4 else ""
            raise AwsError(code, text(code, self.conditions.texts, id=account), status=403)
        if self.sessions.strict:
            self._sl_check(arn, caller)
        seconds = self._get_int_param("DurationSeconds", CHAINED_SECONDS)
        if self.sessions.chained(caller) and seconds > CHAINED_SECONDS:
            raise AwsError(
                "ValidationError",
                "DurationSeconds is more than the hour that role chaining allows.",
            )
        response = super().assume_role()
        result: Any = response.result
        role = result["Credentials"]
        role.session_token = VERSION_2 + role.session_token[len(VERSION_2) :]
        role.expiration = self.sessions.begin(
            role.access_key_id, min(seconds, self.sessions.seconds)
        )
        return response

    def _sl_check(self, arn: str, caller: str) -> None:
        """Raise unless the role exists and trusts the caller with what it gives."""
        account, _, name = arn.split(":", 4)[4].partition(":role/")
        roles = iam_backends[account]["aws"].roles.values()
        role = next((one for one in roles if one.name == name.rpartition("/")[2]), None)
        action = "sts:TagSession" if self._get_param("Tags") else "sts:AssumeRole"
        connection = int(self.headers.get(CONNECTION, 0))
        late = role is not None and not self.lags.known(role.arn, connection)
        if (
            role is None
            or late
            or not all(
                self._sl_trusts(role, wanted, caller) for wanted in {"sts:AssumeRole", action}
            )
        ):
            raise AwsError(
                "AccessDenied",
                f"{self._sl_caller(caller)} is not authorized to perform: {action} on "
                f"resource: {arn}",
                status=403,
            )

    def _sl_is_disabled(self) -> bool:
        """Whether no account has enabled the Region that is asked, as one must some."""
        return opt_in_status(self.region, self.conditions) == NOT_OPTED_IN

    def _sl_caller(self, access_key: str) -> str:
        keys = iam_backends[self.current_account]["aws"].access_keys
        key = keys.get(access_key)
        return getattr(key, "role_arn", None) or f"arn:aws:iam::{self.current_account}:root"

    def _sl_trusts(self, role: Any, action: str, caller: str) -> bool:
        policy = json.loads(unquote(role.assume_role_policy_document))
        known = {f"arn:aws:iam::{self.current_account}:root", self.current_account}
        known |= {self._sl_caller(caller), "*"}
        external_id = self._get_param("ExternalId")
        for statement in policy["Statement"]:
            principal = statement["Principal"]
            principals = _list(principal["AWS"] if isinstance(principal, dict) else principal)
            conditions = statement.get("Condition", {})
            wanted = conditions.get("StringEquals", {}).get("sts:ExternalId")
            plain = conditions in ({}, {"StringEquals": {"sts:ExternalId": wanted}})
            if (
                statement["Effect"] == "Allow"
                and action in _list(statement["Action"])
                and known & set(principals)
                and plain
                and (wanted is None or external_id in _list(wanted))
            ):
                return True
        return False


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
