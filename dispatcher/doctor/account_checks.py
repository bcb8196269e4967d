"""Checks of AWS: credentials, clock, accounts, and each permission in each account-region."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from dispatcher.discovery.accounts import AccountRegion, UnreachableTarget, in_each, look_up
from dispatcher.doctor import existing_checks
from dispatcher.doctor.results import Check, CheckStatus, fault, ok, unchecked, warning
from dispatcher.doctor.simulated_permissions import SimulatedPermissions
from sidelight.aws import policy_simulation, sts
from sidelight.aws.ec2 import Ec2
from sidelight.aws.faults import SKEW
from sidelight.aws.permission_checks import PermissionAnswer, PermissionChecks, denied
from sidelight.errors import (
    AccessDeniedError,
    ClockSkewError,
    CloudError,
    RegionDisabledError,
    SidelightError,
    UsageError,
)
from sidelight.fleet.bootstrap import session_of
from sidelight.fleet.snapshot_ownership import tags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dispatcher.discovery.accounts import ScanScope
    from sidelight.aws.session import Session
    from sidelight.fleet.settings import Settings
    from sidelight.model import Instance

TARGET: Final = "deploy/iam/target-policy.json"
READER: Final = "deploy/iam/target-reader-policy.json"
OWN_SNAPSHOTS: Final = "deploy/iam/target-own-snapshots-policy.json"
SHARING: Final = "deploy/iam/target-sharing-policy.json"
SCANNER: Final = "deploy/iam/scanner-policy.json"
READ_SHARED: Final = "deploy/iam/scanner-sharing-policy.json"
NETWORK: Final = "deploy/iam/target-network-policy.json"
AGENTS: Final = "deploy/iam/target-agents-policy.json"
DRIFT: Final = 60.0  # seconds of clock skew that are reported; signatures fail from 300 s on
SIMULATION: Final = "deploy/iam/target-simulation-policy.json"
CONDITIONAL: Final = (
    "cannot be known without one of Sidelight's snapshots: a policy that allows these alone"
    " denies it for the snapshot that was tried, which does not exist; IAM's simulation, or the"
    " first scan, shows it"
)
CLOCK: Final = "synchronise the clock: timedatectl set-ntp true"


def check_credentials(session: Session, region: str) -> Iterator[Check]:
    """Yield who we are for AWS, and how far this machine's clock is from AWS's."""
    group = "credentials"
    try:
        caller = sts.caller(session, region=region or None)
    except ClockSkewError as error:
        yield fault(group, "clock", str(error), CLOCK)
        return
    except UsageError as error:
        yield fault(group, "configuration", str(error), "correct the profile, or --region")
        return
    except RegionDisabledError as error:
        yield fault(group, "region", str(error), "enable the Region in the account, or use another")
        return
    except AccessDeniedError as error:
        yield fault(group, "identity", str(error), "sign in again (`aws sso login`,"
                    " `aws configure`), or name a profile with --profile")  # fmt: skip
        return
    except (CloudError, SidelightError) as error:
        yield fault(group, "identity", str(error), "check the network, HTTPS_PROXY and"
                    " AWS_ENDPOINT_URL")  # fmt: skip
        return
    yield ok(group, "identity", caller.arn, AccountRegion(caller.account, ""))
    if math.isnan(caller.clock_offset):
        yield unchecked(group, "clock", "AWS's answer has no time")
        return
    offset = abs(caller.clock_offset)
    text = f"{offset:.0f} s {'ahead of' if caller.clock_offset > 0 else 'behind'} AWS's"
    if offset > SKEW:
        yield fault(group, "clock", text, CLOCK)
    elif offset > DRIFT:
        yield warning(group, "clock", text, CLOCK)
    else:
        yield ok(group, "clock", text)


def check_accounts(session: Session, scope: ScanScope) -> tuple[list[Check], list[AccountRegion]]:
    """Return the checks of the accounts that were chosen, and the account-regions to check."""
    group = "accounts"
    try:
        targets = look_up(session, scope)
    except UsageError as error:
        return [fault(group, "selection", str(error), "see sidelight doctor --help")], []
    except (AccessDeniedError, ClockSkewError, CloudError) as error:
        remedy = (
            f"run in the management account or a delegated administrator, with {SCANNER}"
            if scope.organization or scope.units
            else "see the checks of credentials"
        )
        return [fault(group, "listing", str(error), remedy)], []
    places = [target for target in targets if isinstance(target, AccountRegion)]
    checks = [
        unchecked(group, "suspended", str(target), target=target)
        if target.suspended
        else fault(group, "role", str(target), _role_remedy(), target)
        for target in targets
        if isinstance(target, UnreachableTarget)
    ]
    count = len({account_region.account for account_region in places})
    checks.append(ok(group, "listing", f"{count} accounts, {len(places)} account-regions"))
    return checks, places


def _role_remedy() -> str:
    return (
        "deploy deploy/cloudformation/target.yaml there; compare SIDELIGHT_ROLE_NAME,"
        f" SIDELIGHT_EXTERNAL_ID and the role's trust; the hub needs {SCANNER}"
    )


def _reader_remedy() -> str:
    return (
        "set ReaderRoleName of deploy/cloudformation/target.yaml there and of scanner.yaml; compare"
        " SIDELIGHT_READER_ROLE_NAME"
    )


def check_places(
    session: Session,
    settings: Settings,
    account_regions: Sequence[AccountRegion],
    deployment: str,
    exclusion_tag: str,
) -> Iterator[Check]:
    """Yield the checks of each account-region; several are checked at once."""

    def work(account_region: AccountRegion) -> list[Check]:
        return _PlaceChecks(session, settings, account_region, deployment, exclusion_tag).run()

    for account_region, result in in_each(account_regions, work, lambda: False):
        if isinstance(result, UnreachableTarget):
            yield _unreachable(account_region, result.error)
        else:
            yield from result


def _unreachable(account_region: AccountRegion, error: SidelightError) -> Check:
    if isinstance(error, RegionDisabledError):
        remedy = "enable the Region in the account, or leave it out"
    elif isinstance(error, ClockSkewError):
        remedy = CLOCK
    else:
        remedy = _role_remedy()
    return fault("permissions", "access", str(error), remedy, account_region)


class _PlaceChecks:
    """The permissions in one account-region that the settings need."""

    def __init__(
        self,
        session: Session,
        settings: Settings,
        account_region: AccountRegion,
        deployment: str,
        exclusion_tag: str,
    ) -> None:
        self._session = session
        self._settings = settings
        self._place = account_region
        self._deployment = deployment
        self._exclusion_tag = exclusion_tag
        self._checks: list[Check] = []
        self._tried = PermissionChecks(session, account_region.account, account_region.region)
        self._simulated = SimulatedPermissions(session, settings, account_region, deployment)

    def run(self) -> list[Check]:
        """Return all checks. Raises AccessDeniedError where the role cannot be assumed."""
        # Assumes the role: without it each permission would look denied.
        self._session.client("ec2", account=self._place.account, region=self._place.region)
        if self._settings.aws.role_name:
            name = self._settings.aws.role_name
            self._add(ok, "sts:AssumeRole", f"the role {name} is assumed")
        answers = self._tried.discovery()
        self._all(answers, TARGET)
        instances = self._instances() if not denied(answers) else []
        self._creation(instances)
        self._each(self._simulated.of_our_snapshot(self._tried.deletion()), TARGET)
        scanner = self._settings.aws.scanner_account
        if scanner in ("", self._place.account):
            self._reading(instances)
        else:
            self._each(self._simulated.sharing(self._tried.sharing(scanner), scanner), SHARING)
            hub = PermissionChecks(self._session, None, self._place.region)
            self._all(hub.reading(conditional=False), READ_SHARED)
        self._keys(instances)
        self._optional()
        self._simulation()
        return self._checks

    def _simulation(self) -> None:
        """Say whether IAM simulates policies; a scan needs it for nothing."""
        failures = self._simulated.failures()
        if failures:
            lacking = "what cannot be tried is not checked"
            remedy = f"allow {policy_simulation.ACTION} as in {SIMULATION}"
            for failure in failures:
                self._add(unchecked, failure.action, f"{failure.detail}: {lacking}", remedy)
        elif self._simulated.is_used():
            self._add(ok, policy_simulation.ACTION, f"allowed; {policy_simulation.NOT_SEEN}")

    def _reading(self, instances: Sequence[Instance]) -> None:
        """Check the role that reads blocks in place: the target's, or the reader's."""
        name = self._settings.aws.reader_role_name
        if not name:
            answers = self._tried.reading(conditional=True)
            self._all([self._simulated.of_our_snapshot(answer) for answer in answers], TARGET)
            self._existing(self._tried, instances)
            return
        session = session_of(self._settings, name)
        try:
            session.client("ebs", account=self._place.account, region=self._place.region)
        except SidelightError as error:
            self._add(fault, f"sts:AssumeRole of {name}", str(error), _reader_remedy())
            return
        self._add(ok, f"sts:AssumeRole of {name}", f"the role {name} is assumed")
        checks = PermissionChecks(session, self._place.account, self._place.region)
        answers = checks.reading(conditional=True)
        self._all(
            [self._simulated.of_our_snapshot(answer, reader=name) for answer in answers], READER
        )
        self._existing(checks, instances)

    def _existing(self, checks: PermissionChecks, instances: Sequence[Instance]) -> None:
        """Check by one of them whether existing snapshots can be read, if scans use them."""
        if not self._settings.sources.existing_hours:
            return
        name = existing_checks.NAME
        ec2 = Ec2(self._session, self._place.account, self._place.region)
        answer = existing_checks.tried(ec2, self._settings, instances, self._exclusion_tag, checks)
        if isinstance(answer, str):
            self._add(unchecked, name, answer)
            return
        lacking = "" if self._settings.sources.existing_only else "scans create their own"
        self._each(replace(answer, action=name), OWN_SNAPSHOTS, lacking=lacking)

    def _add(self, make: Callable[..., Check], name: str, *texts: str) -> None:
        self._checks.append(make("permissions", name, *texts, target=self._place))

    def _instances(self) -> list[Instance]:
        try:
            found = Ec2(self._session, self._place.account, self._place.region).instances()
        except SidelightError as error:
            self._add(fault, "instances", str(error), f"allow the calls as in {TARGET}")
            return []
        self._add(ok, "instances", f"{len(found)} found")
        return found

    def _creation(self, instances: Sequence[Instance]) -> None:
        name = "ec2:CreateSnapshots, ec2:CreateTags"
        usable = [
            instance for instance in instances
            if instance.volumes and self._exclusion_tag not in dict(instance.tags)
        ]  # fmt: skip
        if not usable:
            why = "no instance here to try it with"
            for answer in self._simulated.creation(why):
                self._each(answer, TARGET)
            return
        answer = self._tried.creation(usable[0].id, tags("0" * 32, self._deployment))
        if answer.allowed is False:
            self._add(
                fault, name, answer.detail,
                f"allow it as in {TARGET}; the policy's DeploymentId must be SIDELIGHT_DEPLOYMENT,"
                f" which is {self._deployment!r} here",
            )  # fmt: skip
        else:
            self._each(replace(answer, action=name), TARGET)

    def _keys(self, instances: Sequence[Instance]) -> None:
        volumes = [volume for instance in instances for volume in instance.volumes]
        keys = sorted({v.kms_key_id for v in volumes if v.encrypted and v.kms_key_id})
        self._all(self._tried.keys(keys[0] if keys else ""), TARGET)
        own = [key for key in keys if f":{self._place.account}:" in key]
        if keys:
            self._decryption(keys)
        if self._settings.aws.kms_grants:
            self._each(self._simulated.granting(own, "it would create a grant"), SHARING)

    def _decryption(self, keys: Sequence[str]) -> None:
        """Check kms:Decrypt, in place by the role that reads; a key's own policy is not known."""
        text = f"{len(keys)} keys of volumes: cannot be known without a snapshot"
        is_shared = self._settings.aws.scanner_account not in ("", self._place.account)
        policy = READ_SHARED if is_shared else TARGET
        answer = self._simulated.decryption(keys, text, shared=is_shared)
        if answer.allowed is None:
            remedy = f"allow it as in {policy}, and in the keys' policies"
            answer = replace(answer, remedy=remedy)
        self._each(answer, policy)

    def _optional(self) -> None:
        """Check what a scan can do without, and other methods than snapshots."""
        self._each(self._tried.quotas(), TARGET, lacking="AWS's default quotas are assumed")
        answer, days = self._tried.recycle_bin(tags("0" * 32, self._deployment))
        if days:
            text = f"a rule keeps deleted snapshots for {days} days, and AWS bills them"
            remedy = "exclude the tag SidelightDeployment from it (docs/real-accounts.md)"
            self._add(warning, "Recycle Bin", text, remedy)
        rules = PermissionAnswer("rbin:GetRule", None, "it needs a rule to ask about")
        for one in (answer, *self._simulated.of_any_object([rules])):
            self._each(one, TARGET, lacking="not known whether deleted snapshots are kept")
        if self._settings.sources.unchanged_days:
            lacking = "each machine is read at each scan"
            self._each(self._tried.metrics(), TARGET, lacking=lacking)
        if self._settings.networks.interval:
            self._network(self._simulated.of_any_object(self._tried.network()))
        if self._settings.agents.agent_based:
            self._all(self._tried.agents(), AGENTS)
            bucket = bool(self._settings.agents.inventory_bucket)
            why = "it needs an association, or would change one"
            self._all(self._simulated.agents(why, with_bucket=bucket), AGENTS)

    def _network(self, answers: Sequence[PermissionAnswer]) -> None:
        """One line for the network model's calls, which are some 50."""
        name = "network"
        lacking = denied(answers)
        allowed = sum(answer.allowed is True for answer in answers)
        text = f"{allowed} of {len(answers)} calls are allowed"
        undecided = len(answers) - allowed - len(lacking)
        text += f", {undecided} were not tried or not decided" if undecided else ""
        if lacking:
            text += f"; denied: {', '.join(sorted({answer.action for answer in lacking}))}"
            self._add(warning, name, text,
                      f"allow them as in {NETWORK}, or set SIDELIGHT_NETWORK_HOURS=0")  # fmt: skip
        elif allowed:
            self._add(ok, name, text)
        else:
            self._add(unchecked, name, text)

    def _all(self, answers: Sequence[PermissionAnswer], policy: str) -> None:
        for answer in answers:
            self._each(answer, policy)

    def _each(self, answer: PermissionAnswer, policy: str, *, lacking: str = "") -> None:
        """Add the check of one permission; `lacking`: what follows if a scan works without it."""
        remedy = answer.remedy or f"allow {answer.action} as in {policy}"
        if answer.allowed:
            self._add(ok, answer.action, f"allowed {answer.detail}".strip())
        elif answer.allowed is None:
            text = f"{CONDITIONAL} ({answer.detail})" if answer.is_denial else answer.detail
            self._add(unchecked, answer.action, text, remedy)
        elif lacking:
            self._add(warning, answer.action, f"{answer.detail}: {lacking}", remedy)
        else:
            self._add(fault, answer.action, answer.detail, remedy)


def has_errors(checks: Sequence[Check]) -> bool:
    """Whether any check found what does not work."""
    return any(check.status is CheckStatus.ERROR for check in checks)
