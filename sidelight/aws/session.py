"""Credentials and clients: the usual AWS environment, and roles in other accounts."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import CredentialProvider, DeferredRefreshableCredentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)

from sidelight.aws import turns
from sidelight.errors import AccessDeniedError, CloudError, SidelightError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
        "AuthFailure",
        "OptInRequired",  # a region that the account has not enabled
        "AccountNotFoundException",
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
    }
)

# A client is about a megabyte, and an organization has thousands of accounts and regions.
MOST_CLIENTS = 96

KEY_DENIED = (
    "the KMS key must let the reading role decrypt: kms:Decrypt in the role's own policy and, for "
    "a role of another account, in the key's policy or by a grant; see docs/accounts.md"
)
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
THROTTLES = frozenset(
    {
        "RequestThrottledException",
        "ThrottlingException",
        "Throttling",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "SlowDown",
    }
)


class Session:
    """Makes boto3 clients, and keeps those used last, for each (service, account, region).

    Endpoints, profiles and regions come from the environment as boto3 reads it. With a `hub` role
    (its ARN) that is assumed first, and is who we are. For another `account` the role named
    `role_name` there is assumed from it, with `external_id` and session `tags` where given. A role
    that is assumed from a role lasts for an hour at most (role chaining): botocore renews it within
    the clients that are in use, as a scan may take longer.
    """

    def __init__(  # noqa: PLR0913 - all by keyword, each with a default
        self,
        *,
        profile: str | None = None,
        region: str | None = None,
        role_name: str = "",
        external_id: str = "",
        hub: str = "",
        tags: Mapping[str, str] | None = None,
        pool: int = 64,
    ) -> None:
        """`pool`: connections kept for each client. Raises UsageError for an unknown profile."""
        # boto3 reads AWS_DEFAULT_REGION alone; every other SDK, and the AWS CLI, AWS_REGION first.
        region = region or os.environ.get("AWS_REGION")
        core = botocore.session.get_session()
        # The services' models take long to load: once for all sessions.
        self._models = core.get_component("data_loader")
        try:
            self._own = boto3.Session(
                botocore_session=core, profile_name=profile, region_name=region
            )
        except ProfileNotFound as error:
            raise UsageError(str(error)) from error
        self._role_name = role_name
        self._external_id = external_id
        self._hub = hub
        self._tags = dict(tags or {})
        self._pool = pool
        self._lock = threading.RLock()
        self._sessions: dict[str, boto3.Session] = {}
        self._clients: dict[tuple[str, str, str, int], Any] = {}

    @property
    def region(self) -> str:
        """The environment's region, or an empty string."""
        return self._own.region_name or ""

    def client(
        self,
        service: str,
        *,
        account: str | None = None,
        region: str | None = None,
        attempts: int = 0,
    ) -> Any:
        """A boto3 client. botocore's own retries are those of its `standard` mode.

        `attempts` in all; 1 for calls that must not be repeated blindly, 0 for the usual number.

        Raises UsageError without a region, AccessDeniedError where the role cannot be assumed.
        """
        # EBS direct's retries are counted and budgeted by its own reader.
        attempts = attempts or (1 if service == "ebs" else 6)
        key = (service, account or "", region or "", attempts)
        with self._lock:
            client = self._clients.pop(key, None)
            if client is None:
                session = self._session_for(account or "", region or self.region)
                client = self._make(session, service, region, attempts)
                turns.watch(client)
            self._clients[key] = client
            # The least used goes first; who works with it has it still.
            while len(self._clients) > MOST_CLIENTS:
                del self._clients[next(iter(self._clients))]
            return client

    def renew(self, account: str | None, client: Any) -> bool:
        """Forget a client whose credentials AWS calls expired; False where there are no others.

        Its role is assumed anew for the next client. Those of the environment are the
        environment's to renew.
        """
        account = account if self._role_name else ""
        with self._lock:
            keys = [key for key, made in self._clients.items() if made is client]
            for key in keys:
                del self._clients[key]
            # Another thread has renewed it already, where it is not the present one.
            if keys:
                self._sessions.pop(account or "", None)
        return bool(account or self._hub)

    def _make(self, session: boto3.Session, service: str, region: str | None, attempts: int) -> Any:
        config = Config(
            max_pool_connections=self._pool,
            retries={"mode": "standard", "total_max_attempts": attempts},
            connect_timeout=10,
            read_timeout=60,
        )
        try:
            # Any: boto3's stubs have an overload a service, and this is all of them.
            make: Any = session.client
            return make(service, region_name=region, config=config)
        except NoRegionError as error:
            raise UsageError("no AWS region: set AWS_REGION or give --region") from error
        except (BotoCoreError, ValueError) as error:
            raise UsageError(str(error)) from error

    def _session_for(self, account: str, region: str) -> boto3.Session:
        """Whose credentials: our own (the hub's), or the role's in the account."""
        account = account if self._role_name else ""
        if not account and not self._hub:
            return self._own
        if account not in self._sessions:
            if account:
                partition = self._own.get_partition_for_region(region) if region else "aws"
                arn = f"arn:{partition}:iam::{account}:role/{self._role_name}"
                # The hub's is made first, from the environment's.
                source = self._session_for("", region)
            else:
                arn, source = self._hub, self._own
            self._sessions[account] = self._assumed(source, arn, region, member=bool(account))
        return self._sessions[account]

    def _assumed(
        self, source: boto3.Session, arn: str, region: str, *, member: bool
    ) -> boto3.Session:
        """A session of the role; the role is assumed now, and again before that ends."""
        request: dict[str, Any] = {"RoleArn": arn, "RoleSessionName": "sidelight"}
        if member and self._external_id:
            request["ExternalId"] = self._external_id
        if member and self._tags:
            request["Tags"] = [{"Key": key, "Value": self._tags[key]} for key in sorted(self._tags)]
        # In our own region: in one that only the other account has enabled, STS does not know us.
        sts = self._make(source, "sts", self.region or region or None, 6)

        def fetch() -> dict[str, str]:
            answer = sts.assume_role(**request)["Credentials"]
            return {
                "access_key": answer["AccessKeyId"],
                "secret_key": answer["SecretAccessKey"],
                "token": answer["SessionToken"],
                "expiry_time": answer["Expiration"].isoformat(),
            }

        credentials = DeferredRefreshableCredentials(fetch, "sidelight-assume-role")
        try:
            # Now: what is denied is to be said of the role, not of the first call made with it.
            credentials.get_frozen_credentials()
        except (ClientError, BotoCoreError, OSError) as error:
            raise translate(error, where=arn) from error
        core = botocore.session.get_session()
        core.register_component("data_loader", self._models)
        resolver = core.get_component("credential_provider")
        resolver.insert_before("env", _Given(credentials))
        return boto3.Session(botocore_session=core, region_name=self._own.region_name)


class _Given(CredentialProvider):
    """Credentials that are there already, as botocore's chain of providers takes them."""

    METHOD = CANONICAL_NAME = "sidelight-assume-role"

    def __init__(self, credentials: Any) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> Any:
        """They."""
        return self._credentials


def known_regions() -> list[str]:
    """All regions of AWS's first partition that boto3 knows, enabled or not."""
    return boto3.Session().get_available_regions("ec2")


def translate(error: Exception, *, where: str) -> SidelightError:
    """The Sidelight error for a botocore one; `where` are its coordinates."""
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return AccessDeniedError(
            "no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            where=where,
        )
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        message = error.response.get("Error", {}).get("Message", "") or str(error)
        if code in DENIED and error.response.get("Reason") == "DEPENDENCY_ACCESS_DENIED":
            return AccessDeniedError(f"{code}: {message} ({KEY_DENIED})", where=where)
        if code in DENIED:
            return AccessDeniedError(f"{code}: {message}", where=where)
        return CloudError(f"{code}: {message}", where=where, code=code)
    return CloudError(str(error), where=where)
