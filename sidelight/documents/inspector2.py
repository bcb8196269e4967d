"""Findings and their events in the shapes of Amazon Inspector's API and EventBridge.

Sources: botocore's service model `inspector2` (Finding), and Inspector's user guide, "Amazon
EventBridge schema for Amazon Inspector events". Members that Inspector does not have: `sidelight`,
`sourceLayer`.
"""

from typing import NotRequired, TypedDict

from sidelight.documents.markers import CoverageStatus, EventType, Timestamp, YesNo
from sidelight.model import FindingStatus, FindingType, FixAvailable, Severity


class Ec2InstanceDetails(TypedDict, total=False):
    """Inspector's AwsEc2InstanceDetails, as far as Sidelight knows them."""

    type: str
    imageId: str
    vpcId: str
    subnetId: str
    launchedAt: Timestamp
    ipV4Addresses: list[str]
    ipV6Addresses: list[str]
    keyName: str
    iamInstanceProfileArn: str


class ResourceDetails(TypedDict):
    """Inspector's ResourceDetails."""

    awsEc2Instance: Ec2InstanceDetails


class InspectorResource(TypedDict):
    """Inspector's Resource: the instance."""

    type: str
    id: str
    partition: str
    region: str
    tags: NotRequired[dict[str, str]]
    details: NotRequired[ResourceDetails]


class VulnerablePackage(TypedDict):
    """Inspector's VulnerablePackage. `sourceLayer` names the container storage that has it."""

    name: NotRequired[str]
    epoch: int
    version: NotRequired[str]
    release: NotRequired[str]
    arch: NotRequired[str]
    filePath: NotRequired[str]
    packageManager: NotRequired[str]
    fixedInVersion: str
    remediation: NotRequired[str]
    sourceLayer: NotRequired[str]


class InspectorCvss(TypedDict):
    """Inspector's CvssScore."""

    source: str
    scoringVector: str
    version: str
    baseScore: float


class PackageVulnerabilityDetails(TypedDict):
    """Inspector's PackageVulnerabilityDetails."""

    vulnerabilityId: str
    source: str
    vulnerablePackages: list[VulnerablePackage]
    cvss: list[InspectorCvss]
    relatedVulnerabilities: list[str]
    vendorSeverity: NotRequired[str]
    referenceUrls: list[str]
    sourceUrl: NotRequired[str]


class OpenPortRange(TypedDict):
    """Inspector's PortRange, both ends included."""

    begin: int
    end: int


class NetworkPathStep(TypedDict):
    """Inspector's Step. `componentType` is a CloudFormation type."""

    componentId: str
    componentType: str
    componentArn: NotRequired[str]


class NetworkPathDocument(TypedDict):
    """Inspector's NetworkPath: at most 30 steps, from the edge inwards."""

    steps: list[NetworkPathStep]


class NetworkReachabilityDetails(TypedDict):
    """Inspector's NetworkReachabilityDetails."""

    protocol: str
    openPortRange: OpenPortRange
    networkPath: NetworkPathDocument


class ScoreAdjustment(TypedDict):
    """Inspector's CvssScoreAdjustment."""

    metric: str
    reason: str


class AdjustedCvss(TypedDict):
    """Inspector's CvssScoreDetails."""

    scoreSource: str
    cvssSource: str
    version: str
    score: float
    scoringVector: str
    adjustments: list[ScoreAdjustment]


class InspectorScoreDetails(TypedDict):
    """Inspector's InspectorScoreDetails."""

    adjustedCvss: AdjustedCvss


class Recommendation(TypedDict):
    """Inspector's Recommendation."""

    text: str


class Remediation(TypedDict):
    """Inspector's Remediation."""

    recommendation: Recommendation


class EpssDetails(TypedDict):
    """Inspector's EpssDetails: a probability from 0 to 1."""

    score: float


class EventOrigin(TypedDict):
    """The event that a finding came with. `leftOut` names members that did not fit the message."""

    eventId: str
    sequence: int
    event: EventType
    region: str
    leftOut: NotRequired[list[str]]


class InspectorFinding(TypedDict):
    """Inspector's Finding; unknown members are left out. `sidelight` is there in events.

    A finding has the details of its `type`. A network finding has neither fix, exploit nor score.
    """

    findingArn: str
    awsAccountId: str
    type: FindingType
    title: str
    description: str
    severity: Severity
    status: FindingStatus
    firstObservedAt: Timestamp
    lastObservedAt: Timestamp
    updatedAt: Timestamp
    resources: list[InspectorResource]
    remediation: Remediation
    packageVulnerabilityDetails: NotRequired[PackageVulnerabilityDetails]
    networkReachabilityDetails: NotRequired[NetworkReachabilityDetails]
    fixAvailable: NotRequired[FixAvailable]
    exploitAvailable: NotRequired[YesNo]
    inspectorScore: NotRequired[float]
    inspectorScoreDetails: NotRequired[InspectorScoreDetails]
    epss: NotRequired[EpssDetails]
    sidelight: NotRequired[EventOrigin]


# A member's name with a hyphen needs the functional form.
_DetailType = TypedDict("_DetailType", {"detail-type": str})


class ScanStatus(TypedDict):
    """Inspector's ScanStatus, in its event of coverage."""

    reason: str
    statusCodeValue: CoverageStatus


class FleetEventOrigin(TypedDict):
    """The event that a detail other than a finding came with."""

    eventId: str
    sequence: int
    region: str


class CoverageDetail(TypedDict):
    """The detail of Inspector's event `Inspector2 Coverage`."""

    scanStatus: ScanStatus
    scanType: str
    scanMode: NotRequired[str]
    provider: str
    providerAccountId: str
    providerRegion: str
    eventTimestamp: Timestamp
    version: str
    sidelight: FleetEventOrigin


# Members' names with hyphens need the functional form.
_ScanCounts = TypedDict(
    "_ScanCounts",
    {"scan-status": str, "finding-severity-counts": dict[str, int], "instance-id": str},
)


class ScanDetail(_ScanCounts):
    """The detail of Inspector's event `Inspector2 Scan`."""

    version: str
    sidelight: FleetEventOrigin


class EventEnvelope(_DetailType):
    """What is around the detail of an EventBridge event; `id` is its number in the store."""

    version: str
    id: str
    source: str
    account: str
    time: Timestamp
    region: str
    resources: list[str]


class CoverageEventDocument(EventEnvelope):
    """An EventBridge event of an instance's coverage."""

    detail: CoverageDetail


class ScanEventDocument(EventEnvelope):
    """An EventBridge event of an instance's first scan."""

    detail: ScanDetail


class FindingEventDocument(EventEnvelope):
    """An EventBridge event of a finding; `id` is its number in the store."""

    detail: InspectorFinding
