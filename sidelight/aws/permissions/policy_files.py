"""The policies by file and template: which statements each has, whose it is, what it is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sidelight.aws.permissions import hub_policies as hub
from sidelight.aws.permissions import target_policies as target
from sidelight.aws.permissions.call_catalogue import AwsRole

if TYPE_CHECKING:
    from sidelight.aws.permissions.statements import Statement

TARGET: Final = (AwsRole.ORCHESTRATOR,)
READER: Final = (AwsRole.READER,)
HUB: Final = (AwsRole.HUB,)


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """One policy: `deploy/iam/NAME.json`. `roles`: who has it; none where others attach it.

    `purpose`: for docs/accounts.md.
    """

    name: str
    purpose: str
    roles: tuple[AwsRole, ...]
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class TemplatePolicy:
    """One AWS::IAM::RolePolicy of a template.

    Stacks that users have deployed keep a policy by `resource` and `policy_name`: with a new
    resource of an old name, CloudFormation deletes the policy after it has written it.
    `condition`: the template's, empty for always. `role` is the template's text for its role.
    """

    template: str
    resource: str
    policy_name: str
    statements: tuple[Statement, ...]
    condition: str = ""
    role: str = "!Ref Role"


POLICY_FILES: Final = (
    PolicyFile(
        "target-policy", "scans, by one role that does all", (*TARGET, *READER), target.SCAN
    ),
    PolicyFile(
        "target-orchestrator-policy", "scans, where a role apart reads blocks", TARGET,
        target.ORCHESTRATOR,
    ),
    PolicyFile("target-reader-policy", "that role (`ReaderRoleName`)", READER, target.READER),
    PolicyFile(
        "target-own-snapshots-policy",
        "the account's own images and backups, as `sidelight scan ebs:snap-…` reads them", READER,
        target.OWN_SNAPSHOTS,
    ),
    PolicyFile(
        "target-sharing-policy", "snapshots read in the scanner's account", TARGET, target.SHARING
    ),
    PolicyFile("target-agents-policy", "agent-based scans", TARGET, target.AGENTS),
    PolicyFile(
        "target-deep-inspection-policy", "deep inspection by agents", TARGET,
        target.DEEP_INSPECTION,
    ),
    PolicyFile("target-network-policy", "network findings", TARGET, target.NETWORK),
    PolicyFile("target-reports-policy", "reports of findings in a bucket", TARGET, target.REPORTS),
    PolicyFile(
        "target-inspector-policy", "`sidelight inspector compare`", TARGET, target.INSPECTOR
    ),
    PolicyFile(
        "target-security-hub-policy", "findings to Security Hub", TARGET, target.SECURITY_HUB
    ),
    PolicyFile(
        "target-simulation-policy", "`sidelight doctor` decides what it cannot try", TARGET,
        target.SIMULATION,
    ),
    PolicyFile("scanner-policy", "accounts and roles", HUB, (hub.ENTER, hub.LIST_ACCOUNTS)),
    PolicyFile(
        "scanner-reader-policy", "the reader's role (`ReaderRoleName`)", HUB, (hub.ENTER_AS_READER,)
    ),
    PolicyFile("scanner-sharing-policy", "shared snapshots", HUB, hub.READ_SHARED),
    PolicyFile("scanner-bus-policy", "events to EventBridge", HUB, hub.BUS),
    PolicyFile("scanner-topic-policy", "events to SNS", HUB, hub.TOPIC),
    PolicyFile("scanner-queues-policy", "SQS as the broker", HUB, hub.QUEUES),
    PolicyFile("scanner-inventories-policy", "inventories of agents", HUB, hub.INVENTORIES),
    PolicyFile(
        "scanner-bundles-policy", "advisories from a signed bundle in S3", HUB, hub.BUNDLES
    ),
    PolicyFile(
        "scanner-simulation-policy", "`sidelight doctor` decides what it cannot try", HUB,
        hub.SIMULATION,
    ),
    PolicyFile("scanner-changes-policy", "changes in accounts", HUB, hub.CHANGES),
    PolicyFile("key-policy", "a statement for the policies of customer keys", (), hub.KEY),
    PolicyFile(
        "organization-tags-policy", "a service control policy: nobody else writes our tags", (),
        hub.ORGANIZATION_TAGS,
    ),
)  # fmt: skip

READER_ROLE: Final = "!If [SeparateReader, !Ref Reader, !Ref Role]"
TEMPLATE_POLICIES: Final = (
    TemplatePolicy("target", "Scan", "scan", target.ORCHESTRATOR),
    TemplatePolicy("target", "Read", "read", target.READER, role=READER_ROLE),
    TemplatePolicy(
        "target", "ReadOfOwnSnapshots", "read-own-snapshots", target.OWN_SNAPSHOTS, "OwnSnapshots",
        READER_ROLE,
    ),
    TemplatePolicy("target", "ReadByAgents", "agents", target.AGENTS, "Agents"),
    TemplatePolicy(
        "target", "CollectByAgents", "deep-inspection", target.DEEP_INSPECTION,
        "DeepInspectionByAgents",
    ),
    TemplatePolicy("target", "Reports", "reports", target.REPORTS[:1], "Reports"),
    TemplatePolicy("target", "ReportKey", "report-key", target.REPORTS[1:], "EncryptedReports"),
    TemplatePolicy("target", "Network", "network", target.NETWORK),
    TemplatePolicy("target", "Share", "share", target.SHARING, "Sharing"),
    TemplatePolicy("target", "Simulate", "simulate", target.SIMULATION, "Simulates"),
    TemplatePolicy("scanner", "Enter", "enter", (hub.ENTER,)),
    TemplatePolicy(
        "scanner", "EnterAsReader", "enter-as-reader", (hub.ENTER_AS_READER,), "SeparateReader"
    ),
    TemplatePolicy(
        "scanner", "Accounts", "list-accounts", (hub.LIST_ACCOUNTS,), "ListsAccounts"
    ),
    TemplatePolicy("scanner", "Read", "read-shared", hub.READ_SHARED, "Sharing"),
    TemplatePolicy("scanner", "Bus", "publish-to-bus", hub.BUS, "ToABus"),
    TemplatePolicy("scanner", "Inventories", "read-inventories", hub.INVENTORIES, "FromABucket"),
    TemplatePolicy("scanner", "Bundles", "read-advisories", hub.BUNDLES, "FromABundle"),
    TemplatePolicy("scanner", "Changes", "receive-changes", hub.CHANGES, "OfChanges"),
    TemplatePolicy("scanner", "Simulate", "simulate", hub.SIMULATION, "Simulates"),
    TemplatePolicy("scanner", "Topic", "publish-to-topic", hub.TOPIC, "ToATopic"),
    TemplatePolicy("scanner", "Queues", "use-queues", hub.QUEUES, "OverSqs"),
)  # fmt: skip


def files_granting(action: str) -> list[str]:
    """Return the paths of the policy files that allow an action."""
    return [
        f"deploy/iam/{file.name}.json"
        for file in POLICY_FILES
        if any(action in one.actions for one in file.statements if not one.denies)
    ]
