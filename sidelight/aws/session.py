"""Credentials and clients: the usual AWS environment, and roles in other accounts."""

from __future__ import annotations

import os
import threading
from copy import copy
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, overload

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import CredentialProvider, DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError

import sidelight
from sidelight.aws import send_hook, sts_regions
from sidelight.aws.answers import required
from sidelight.aws.environment_errors import check_region, environment_error
from sidelight.aws.faults import translated
from sidelight.errors import UsageError
from sidelight.tracing import trace_calls

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Literal, Unpack

    from mypy_boto3_ebs import EBSClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_organizations import OrganizationsClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_sts import STSClient
    from mypy_boto3_sts.type_defs import AssumeRoleRequestTypeDef

    from sidelight.aws.rate_limit import RateLimiter

T = TypeVar("T")

# EBS direct never answers some requests. AWS's own reader of snapshots (awslabs/coldsnap) has the
# same timeout in seconds.
EBS_READ_SECONDS = 12
READ_SECONDS = 60
# A process begins with a call of STS: six tries without an answer take a minute.
STS_READ_SECONDS = 10
# boto3 adds botocore's name and version.
EBS_USER_AGENT = f"Boto3/{boto3.__version__} sidelight/{sidelight.__version__}"
# A client takes about a megabyte, and an organization has thousands of account-regions.
MOST_CLIENTS = 96


class ClientOptions(TypedDict, total=False):
    """The options of Session.client."""

    account: str | None
    region: str | None
    attempts: int


def _read_seconds(service: str) -> float:
    return {"ebs": EBS_READ_SECONDS, "sts": STS_READ_SECONDS}.get(service, READ_SECONDS)


class Session:
    """Creates boto3 clients by (service, account, region), and caches the last used ones.

    Endpoints, profiles and regions come from the environment as boto3 reads it. A `hub` role (its
    ARN) is assumed first, and is our own identity. For another `account`, the role named
    `role_name` there is assumed from it, with `external_id` and session `tags` if they are set. A
    role that is assumed from a role is valid for an hour at most (role chaining): botocore renews
    it within the clients in use, as a scan may take longer. `region` is the environment's, or
    empty.
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
        """`pool`: connections kept open for each client.

        Raises UsageError for an unknown profile, a configuration that cannot be parsed, and an
        invalid region.
        """
        # boto3 reads only AWS_DEFAULT_REGION; other SDKs and the AWS CLI read AWS_REGION first.
        region = region or os.environ.get("AWS_REGION")
        try:
            core = _core()
            # The services' models take long to load: load them once for all sessions.
            self._models = core.get_component("data_loader")
            self._own = boto3.Session(
                botocore_session=core, profile_name=profile, region_name=region
            )
            self.region: str = self._own.region_name or ""
        except BotoCoreError as error:
            raise environment_error(error) or UsageError(str(error)) from error
        if self.region:
            check_region(self.region)
        self._role_name = role_name
        self._external_id = external_id
        self._hub = hub
        self._tags = dict(tags or {})
        self._pool = pool
        self._lock = threading.RLock()
        self._sessions: dict[str, boto3.Session] = {}
        self._clients: dict[tuple[str, str, str, int], Any] = {}
        self._pace: Callable[[str, str], RateLimiter] | None = None

    def paced(self, pace: Callable[[str, str], RateLimiter]) -> Session:
        """Return this session with Systems Manager's calls at the rates of `pace`.

        `pace(account, region)` is their limiter. Clients and credentials are shared.
        """
        twin = copy(self)
        twin._pace = pace  # noqa: SLF001 - of its own class
        return twin

    def limiter(self, account: str, region: str) -> RateLimiter | None:
        """Return the limiter of Systems Manager's calls, None for a session without `paced`."""
        return self._pace(account, region or self.region) if self._pace is not None else None

    # Typed for services with few calls that many parts make; others return Any.
    @overload
    def client(self, service: Literal["ebs"], **options: Unpack[ClientOptions]) -> EBSClient: ...
    @overload
    def client(self, service: Literal["ec2"], **options: Unpack[ClientOptions]) -> EC2Client: ...
    @overload
    def client(self, service: Literal["kms"], **options: Unpack[ClientOptions]) -> KMSClient: ...
    @overload
    def client(
        self, service: Literal["organizations"], **options: Unpack[ClientOptions]
    ) -> OrganizationsClient: ...
    @overload
    def client(self, service: Literal["ssm"], **options: Unpack[ClientOptions]) -> SSMClient: ...
    @overload
    def client(self, service: Literal["sts"], **options: Unpack[ClientOptions]) -> STSClient: ...
    @overload
    def client(self, service: str, **options: Unpack[ClientOptions]) -> Any: ...

    def client(
        self,
        service: str,
        *,
        account: str | None = None,
        region: str | None = None,
        attempts: int = 0,
    ) -> Any:
        """Return a boto3 client. botocore's own retries are those of its `standard` mode.

        `attempts` in all; 1 for calls that must not be repeated blindly, 0 for the usual number.

        Raises UsageError without a region, AccessDeniedError where the role cannot be assumed.
        """
        # The EBS direct reader counts and limits its retries itself.
        attempts = attempts or (1 if service == "ebs" else 6)
        if region:
            check_region(region)
        key = (service, account or "", region or "", attempts)
        with self._lock:
            client = self._clients.pop(key, None)
            if client is None:
                session = self._session_for(account or "", region or self.region)
                client = self._make(session, service, region, attempts)
                send_hook.watch(client)
                trace_calls(client, service)
            self._clients[key] = client
            # Drop the least recently used client; its present users keep their reference.
            while len(self._clients) > MOST_CLIENTS:
                del self._clients[next(iter(self._clients))]
        return client

    def renew(self, account: str | None, client: object) -> bool:
        """Drop a client whose credentials have expired; False where they cannot be renewed.

        Its role is assumed again for the next client. Only the environment itself can renew its
        own credentials.
        """
        account = account if self._role_name else ""
        with self._lock:
            keys = [key for key, cached in self._clients.items() if cached is client]
            for key in keys:
                del self._clients[key]
            # If the client is not cached any more, another thread has already renewed it.
            if keys:
                self._sessions.pop(account or "", None)
        return bool(account or self._hub)

    def ask_sts(self, region: str | None, call: Callable[[STSClient], T]) -> T:
        """Return the result of `call` for an STS client of the region, or of one that knows us.

        Raises botocore's errors, and those of `client`.
        """
        regions = self.regions_to_ask(region or self.region)
        return sts_regions.ask(lambda name: self.client("sts", region=name or None), regions, call)

    def regions_to_ask(self, region: str) -> list[str]:
        """Return a Region and the one that all accounts of its partition have, in this order."""
        if not region:
            return [""]
        return sts_regions.candidates(region, self._own.get_partition_for_region(region))

    def partition(self, region: str) -> str:
        """Return the partition of a Region, as ARNs name it."""
        return self._own.get_partition_for_region(region) if region else "aws"

    def _make(self, session: boto3.Session, service: str, region: str | None, attempts: int) -> Any:
        is_ebs = service == "ebs"
        config = Config(
            max_pool_connections=self._pool,
            retries={"mode": "standard", "total_max_attempts": attempts},
            connect_timeout=10,
            read_timeout=_read_seconds(service),
            # Hundreds of calls a scan, with three members that we or EBS direct made. botocore
            # would compose its User-Agent twice a call, of some 30 parts (benchmarks/get_block.py).
            parameter_validation=not is_ebs,
            user_agent=EBS_USER_AGENT if is_ebs else None,
        )
        try:
            # Any: boto3's stubs have one overload per service, and this call covers all of them.
            make: Any = session.client
            return make(service, region_name=region, config=config)
        except (BotoCoreError, ValueError) as error:
            raise environment_error(error) or UsageError(str(error)) from error

    def _session_for(self, account: str, region: str) -> boto3.Session:
        """Return the session with our own (the hub's) credentials, or the account's role's."""
        account = account if self._role_name else ""
        if not account and not self._hub:
            return self._own
        if account not in self._sessions:
            if account:
                arn = f"arn:{self.partition(region)}:iam::{account}:role/{self._role_name}"
                # The hub's session is created first, from the environment's.
                source = self._session_for("", region)
            else:
                arn, source = self._hub, self._own
            self._sessions[account] = self._assumed(source, arn, region, member=bool(account))
        return self._sessions[account]

    def _assumed(
        self, source: boto3.Session, arn: str, region: str, *, member: bool
    ) -> boto3.Session:
        """Return a session of the role; it is assumed now, and again before it expires."""
        request: AssumeRoleRequestTypeDef = {"RoleArn": arn, "RoleSessionName": "sidelight"}
        if member and self._external_id:
            request["ExternalId"] = self._external_id
        if member and self._tags:
            request["Tags"] = [{"Key": key, "Value": self._tags[key]} for key in sorted(self._tags)]
        # In our own region: STS of a region that only the other account has enabled refuses us.
        regions = self.regions_to_ask(self.region or region)
        clients: dict[str, STSClient] = {}

        def sts(region: str) -> STSClient:
            if region not in clients:
                clients[region] = self._make(source, "sts", region or None, 6)
            return clients[region]

        def fetch() -> dict[str, str]:
            answer = sts_regions.ask(sts, regions, lambda one: one.assume_role(**request))
            credentials = required(answer.get("Credentials"), "Credentials", arn)
            return {
                "access_key": required(credentials.get("AccessKeyId"), "AccessKeyId", arn),
                "secret_key": required(credentials.get("SecretAccessKey"), "SecretAccessKey", arn),
                "token": required(credentials.get("SessionToken"), "SessionToken", arn),
                "expiry_time": required(
                    credentials.get("Expiration"), "Expiration", arn
                ).isoformat(),
            }

        renewed = DeferredRefreshableCredentials(fetch, "sidelight-assume-role")
        with translated(arn):
            # Now, so that a denial is reported for the role and not for the first call with it.
            renewed.get_frozen_credentials()
        core = _core()
        core.register_component("data_loader", self._models)
        resolver = core.get_component("credential_provider")
        resolver.insert_before("env", _ExistingCredentials(renewed))
        return boto3.Session(botocore_session=core, region_name=self._own.region_name)


def _core() -> Any:
    """Return a botocore session that uses STS's regional endpoints.

    Opt-in Regions refuse tokens of the global endpoint, and a configuration may still name it.
    """
    core = botocore.session.get_session()
    core.set_config_variable("sts_regional_endpoints", "regional")
    return core


class _ExistingCredentials(CredentialProvider):
    """A provider of existing credentials for botocore's chain of providers."""

    METHOD = CANONICAL_NAME = "sidelight-assume-role"

    def __init__(self, credentials: Any) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> Any:
        """Return the credentials."""
        return self._credentials


def known_regions() -> list[str]:
    """Return all regions of AWS's first partition that boto3 knows, enabled or not."""
    return boto3.Session().get_available_regions("ec2")
