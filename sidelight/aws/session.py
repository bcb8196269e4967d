"""Credentials and clients: the usual AWS environment, and roles in other accounts."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)

from sidelight.errors import AccessDeniedError, CloudError, SidelightError, UsageError

# Credentials are renewed this long before they end, so that no call starts with dying ones.
RENEW_BEFORE = timedelta(minutes=5)

DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
    }
)


class Session:
    """Makes boto3 clients, once for each (service, account, region).

    Endpoints, profiles and regions come from the environment as boto3 reads it. For another
    `account` the role named `role_name` there is assumed, with `external_id` where given.
    """

    def __init__(
        self,
        *,
        profile: str | None = None,
        region: str | None = None,
        role_name: str = "",
        external_id: str = "",
        pool: int = 64,
    ) -> None:
        """`pool`: connections kept for each client. Raises UsageError for an unknown profile."""
        # boto3 reads AWS_DEFAULT_REGION alone; every other SDK, and the AWS CLI, AWS_REGION first.
        region = region or os.environ.get("AWS_REGION")
        try:
            self._session = boto3.Session(profile_name=profile, region_name=region)
        except ProfileNotFound as error:
            raise UsageError(str(error)) from error
        self._role_name = role_name
        self._external_id = external_id
        self._pool = pool
        self._lock = threading.RLock()
        self._clients: dict[tuple[str, str, str, int], tuple[Any, datetime | None]] = {}

    @property
    def region(self) -> str:
        """The environment's region, or an empty string."""
        return self._session.region_name or ""

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
            client, until = self._clients.get(key, (None, None))
            if client is not None and (until is None or datetime.now(UTC) < until - RENEW_BEFORE):
                return client
            session, until = self._session_for(account)
            config = Config(
                max_pool_connections=self._pool,
                retries={"mode": "standard", "total_max_attempts": attempts},
                connect_timeout=10,
                read_timeout=60,
            )
            try:
                # Any: boto3's stubs have an overload a service, and this is all of them.
                make: Any = session.client
                client = make(service, region_name=region, config=config)
            except NoRegionError as error:
                raise UsageError("no AWS region: set AWS_REGION or give --region") from error
            except (BotoCoreError, ValueError) as error:
                raise UsageError(str(error)) from error
            self._clients[key] = (client, until)
            return client

    def _session_for(self, account: str | None) -> tuple[boto3.Session, datetime | None]:
        if not account or not self._role_name:
            return self._session, None
        arn = f"arn:aws:iam::{account}:role/{self._role_name}"
        request: dict[str, Any] = {"RoleArn": arn, "RoleSessionName": "sidelight"}
        if self._external_id:
            request["ExternalId"] = self._external_id
        try:
            answer = self.client("sts").assume_role(**request)["Credentials"]
        except (ClientError, BotoCoreError) as error:
            raise translate(error, where=arn) from error
        session = boto3.Session(
            aws_access_key_id=answer["AccessKeyId"],
            aws_secret_access_key=answer["SecretAccessKey"],
            aws_session_token=answer["SessionToken"],
            region_name=self._session.region_name,
        )
        return session, answer["Expiration"]


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
        if code in DENIED:
            return AccessDeniedError(f"{code}: {message}", where=where)
        return CloudError(f"{code}: {message}", where=where, code=code)
    return CloudError(str(error), where=where)
