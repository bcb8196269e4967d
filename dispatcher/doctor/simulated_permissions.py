"""What IAM's simulation says of permissions that cannot be tried without an effect.

Each is asked with the resources, tags and conditions that the call of a scan has, so that policies
like those of deploy/iam, which allow it for Sidelight's snapshots alone, are decided.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sidelight.aws import sts
from sidelight.aws.permission_checks import NO_SNAPSHOT, PermissionAnswer
from sidelight.aws.policy_simulation import ACTION, PolicySimulation, SimulatedAccess
from sidelight.errors import SidelightError
from sidelight.fleet.agents.associations_plan import DATA_SYNC, DOCUMENT
from sidelight.fleet.snapshot_ownership import tags

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dispatcher.discovery.accounts import AccountRegion
    from sidelight.aws.session import Session
    from sidelight.fleet.settings import Settings

NO_SCAN: Final = "0" * 32
NO_ID: Final = "0" * 17
NO_ASSOCIATION: Final = "00000000-0000-0000-0000-000000000000"

MOST_KEYS: Final = 20  # keys of one request
Context = dict[str, str | tuple[str, ...]]


def own_simulation(session: Session, settings: Settings, region: str) -> PolicySimulation:
    """Return the simulation of our own policies, or the hub role's, by our own credentials."""
    if settings.aws.hub_role:
        return PolicySimulation(session, None, region, settings.aws.hub_role)
    try:
        principal = sts.principal(session, region=region or None)
    except SidelightError as error:
        simulation = PolicySimulation(session, None, region, "")
        simulation.failure = PermissionAnswer(ACTION, None, str(error))
        return simulation
    return PolicySimulation(session, None, region, principal)


class SimulatedPermissions:
    """The simulations in one account-region, made where they are needed."""

    def __init__(
        self, session: Session, settings: Settings, account_region: AccountRegion, deployment: str
    ) -> None:
        self._session = session
        self._settings = settings
        self._place = account_region
        self._deployment = deployment
        self._partition = session.partition(account_region.region)
        self._simulations: dict[str, PolicySimulation] = {}

    def of_our_snapshot(self, answer: PermissionAnswer, reader: str = "") -> PermissionAnswer:
        """Decide an action on one of our snapshots that was denied for one that does not exist.

        `reader`: the name of the role whose action it is, if it is not the settings' role.
        """
        return self._decided(answer, self._snapshot(answer.action), reader)

    def sharing(self, answer: PermissionAnswer, scanner: str) -> PermissionAnswer:
        """Decide sharing one of our snapshots with the scanner's account."""
        access = self._snapshot(answer.action, {"ec2:Add/userId": (scanner,)})
        return self._decided(answer, access)

    def creation(self, why: str) -> list[PermissionAnswer]:
        """Decide the creation of snapshots with our tags; `why` it was not tried."""
        written = tags(NO_SCAN, self._deployment)
        requested: Context = {f"aws:RequestTag/{key}": value for key, value in written.items()}
        requested |= {"aws:TagKeys": tuple(written)}
        snapshot = (self._arn("ec2", f"snapshot/{NO_SNAPSHOT}", owner=""),)
        volumes = tuple(
            self._arn("ec2", f"{kind}{NO_ID}") for kind in ("instance/i-", "volume/vol-")
        )
        of_volumes = SimulatedAccess("ec2:CreateSnapshots", volumes, self._context({}))
        snapshots = SimulatedAccess("ec2:CreateSnapshots", snapshot, self._context(requested))
        created: Context = {"ec2:CreateAction": "CreateSnapshots"}
        tagging = SimulatedAccess("ec2:CreateTags", snapshot, self._context(requested | created))
        undecided = PermissionAnswer("ec2:CreateSnapshots", None, why)
        first = self._simulated(undecided, of_volumes)
        if first.allowed:
            first = self._simulated(undecided, snapshots)
        return [first, self._simulated(replace(undecided, action="ec2:CreateTags"), tagging)]

    def decryption(
        self, keys: Sequence[str], why: str, *, shared: bool = False
    ) -> PermissionAnswer:
        """Decide kms:Decrypt by EBS, by the role that reads; `why` it was not tried.

        `shared`: snapshots are read with our own credentials.
        """
        context: Context = {
            "kms:ViaService": f"ec2.{self._place.region}.amazonaws.com",
            "kms:EncryptionContext:aws:ebs:id": f"vol-{NO_ID}",
        }
        access = SimulatedAccess("kms:Decrypt", tuple(keys[:MOST_KEYS]), self._context(context))
        undecided = PermissionAnswer("kms:Decrypt", None, why)
        if shared:
            return self._simulated(undecided, access, own=True)
        return self._simulated(undecided, access, self._settings.aws.reader_role_name)

    def granting(self, keys: Sequence[str], why: str) -> PermissionAnswer:
        """Decide the grant that lets the scanner decrypt, on keys of the account."""
        undecided = PermissionAnswer("kms:CreateGrant", None, why)
        hub = self._settings.aws.hub_role
        if not keys or not hub:
            return undecided
        context: Context = {
            "kms:GranteePrincipal": hub, "kms:RetiringPrincipal": hub,
            "kms:GrantOperations": ("Decrypt",),
        }  # fmt: skip
        access = SimulatedAccess("kms:CreateGrant", tuple(keys[:MOST_KEYS]), self._context(context))
        return self._simulated(undecided, access)

    def of_any_object(self, answers: Sequence[PermissionAnswer]) -> list[PermissionAnswer]:
        """Decide what was not tried among actions that policies allow for all objects."""
        untried = [one.action for one in answers if one.allowed is None and not one.is_denial]
        decided = self._simulation("", own=False).decide_all(
            untried, SimulatedAccess("", context=self._context({}))
        ) if untried else {}  # fmt: skip
        return [decided.get(one.action, one) for one in answers]

    def agents(self, why: str, *, with_bucket: bool) -> list[PermissionAnswer]:
        """Decide what collects inventories by Systems Manager; `why` it was not tried."""
        document = self._arn("ssm", f"document/{DOCUMENT}", owner="")
        association = self._arn("ssm", f"association/{NO_ASSOCIATION}")
        accesses = [
            SimulatedAccess("ssm:CreateAssociation", (document,), self._context({})),
            SimulatedAccess("ssm:UpdateAssociation", (association,), self._context({})),
            SimulatedAccess("ssm:DeleteAssociation", (association,), self._context({})),
        ]
        if with_bucket:
            sync = (self._arn("ssm", f"resource-data-sync/Sidelight{DATA_SYNC}"),)
            accesses += [
                SimulatedAccess(f"ssm:{verb}ResourceDataSync", sync, self._context({}))
                for verb in ("Create", "Delete")
            ]
        listings = ("ssm:DescribeAssociation", "ssm:ListInventoryEntries")
        undecided = [PermissionAnswer(action, None, why) for action in listings]
        return [
            *self.of_any_object(undecided),
            *(self._simulated(PermissionAnswer(one.action, None, why), one) for one in accesses),
        ]

    def failures(self) -> list[PermissionAnswer]:
        """Return why IAM did not simulate, for each role of which it was asked."""
        return [one.failure for one in self._simulations.values() if one.failure is not None]

    def is_used(self) -> bool:
        """Whether anything was simulated."""
        return bool(self._simulations)

    def _decided(
        self, answer: PermissionAnswer, access: SimulatedAccess, reader: str = ""
    ) -> PermissionAnswer:
        if answer.allowed is not None or not answer.is_denial:
            return answer
        return self._simulated(answer, access, reader)

    def _simulated(
        self,
        undecided: PermissionAnswer,
        access: SimulatedAccess,
        reader: str = "",
        *,
        own: bool = False,
    ) -> PermissionAnswer:
        return self._simulation(reader, own=own).decide(access) or undecided

    def _simulation(self, reader: str, *, own: bool) -> PolicySimulation:
        """Return the simulation of a role of the account, which the settings' role asks for."""
        role = reader or self._settings.aws.role_name
        key = "" if own or not role else role
        if key not in self._simulations:
            self._simulations[key] = (
                PolicySimulation(
                    self._session, self._place.account, self._place.region,
                    f"arn:{self._partition}:iam::{self._place.account}:role/{role}",
                )
                if key
                else own_simulation(self._session, self._settings, self._place.region)
            )  # fmt: skip
        return self._simulations[key]

    def _snapshot(self, action: str, more: Context | None = None) -> SimulatedAccess:
        """Return the access to a snapshot with our tags."""
        known = tags(NO_SCAN, self._deployment)
        context: Context = {f"aws:ResourceTag/{key}": value for key, value in known.items()}
        resource = self._arn("ec2", f"snapshot/{NO_SNAPSHOT}", owner="")
        return SimulatedAccess(action, (resource,), self._context(context | (more or {})))

    def _arn(self, service: str, name: str, owner: str | None = None) -> str:
        account = self._place.account if owner is None else owner
        return f"arn:{self._partition}:{service}:{self._place.region}:{account}:{name}"

    def _context(self, more: Context) -> Context:
        return {
            "aws:RequestedRegion": self._place.region,
            "aws:ResourceAccount": self._place.account,
            **more,
        }
