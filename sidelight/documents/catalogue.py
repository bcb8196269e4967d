"""All documents by the name of their schema, and where each is printed or written."""

from __future__ import annotations

from typing import Final, NamedTuple

from sidelight.documents import (
    access,
    advisories,
    doctor,
    fleet,
    inspector2,
    inspector_comparison,
    machine,
    network,
    probe,
    remediation,
    template_models,
    vex,
)


class CatalogueEntry(NamedTuple):
    """A document: its type, and what prints or writes it."""

    kind: object
    source: str


DOCUMENTS: Final[dict[str, CatalogueEntry]] = {
    "scan": CatalogueEntry(machine.ScanDocument, "sidelight scan --format json"),
    "template-model": CatalogueEntry(
        template_models.TemplateModelDocument, "the variables of --template FILE"
    ),
    "inventory": CatalogueEntry(machine.InventoryDocument, "sidelight inventory --format json"),
    "read-stats": CatalogueEntry(
        machine.ReadStatsDocument, "sidelight scan|inventory --stats FILE"
    ),
    "fleet-scan": CatalogueEntry(fleet.FleetScanDocument, "sidelight fleet scan --format json"),
    "fleet-plan": CatalogueEntry(
        fleet.FleetPlanDocument, "sidelight fleet scan --dry-run --format json"
    ),
    "fleet-status": CatalogueEntry(
        list[fleet.ScanStatusDocument], "sidelight fleet status --format json"
    ),
    "fleet-coverage": CatalogueEntry(
        list[fleet.CoverageDocument], "sidelight fleet coverage --format json"
    ),
    "fleet-coverage-history": CatalogueEntry(
        list[fleet.CoverageChangeDocument], "sidelight fleet coverage --history --format json"
    ),
    "fleet-accounts": CatalogueEntry(
        list[fleet.ListedAccountDocument], "sidelight fleet accounts list --format json"
    ),
    "fleet-configured-accounts": CatalogueEntry(
        fleet.ConfiguredAccountsDocument, "sidelight fleet enable|configure --format json"
    ),
    "fleet-configuration-plan": CatalogueEntry(
        fleet.ConfigurationPlanDocument,
        "sidelight fleet enable|configure --dry-run --format json",
    ),
    "fleet-disabled-accounts": CatalogueEntry(
        list[fleet.DisabledAccountDocument], "sidelight fleet disable --format json"
    ),
    "fleet-disable-plan": CatalogueEntry(
        list[fleet.DisablePlanDocument], "sidelight fleet disable --dry-run --format json"
    ),
    "fleet-costs": CatalogueEntry(
        list[fleet.CostSumDocument], "sidelight fleet costs --format json"
    ),
    "fleet-findings": CatalogueEntry(
        list[fleet.FleetFindingDocument | network.FleetNetworkFindingDocument],
        "sidelight fleet findings --format json",
    ),
    "fleet-upgrades": CatalogueEntry(
        list[remediation.UpgradeDocument], "sidelight fleet plan --format json"
    ),
    "fleet-attack-paths": CatalogueEntry(
        list[network.AttackPathDocument], "sidelight fleet attack-paths --format json"
    ),
    "fleet-network": CatalogueEntry(
        list[network.NetworkEvaluationDocument], "sidelight fleet network --format json"
    ),
    "fleet-reevaluation": CatalogueEntry(
        fleet.ReevaluationDocument, "sidelight fleet reevaluate --format json"
    ),
    "fleet-prune": CatalogueEntry(fleet.PruneDocument, "sidelight fleet prune --format json"),
    "fleet-sweep": CatalogueEntry(list[fleet.SweepDocument], "sidelight fleet sweep --format json"),
    "fleet-adoption": CatalogueEntry(
        list[fleet.AdoptionDocument], "sidelight fleet sweep --adopt --format json"
    ),
    "suppression-rules": CatalogueEntry(
        list[fleet.SuppressionRuleDocument], "sidelight fleet suppress list --format json"
    ),
    "access-key": CatalogueEntry(access.IssuedKeyDocument, "sidelight access create --format json"),
    "access-keys": CatalogueEntry(
        list[access.AccessKeyDocument], "sidelight access list --format json"
    ),
    "vex-documents": CatalogueEntry(
        list[vex.VexSourceDocument], "sidelight fleet suppress list-vex --format json"
    ),
    "vex-addition": CatalogueEntry(
        vex.VexAdditionDocument, "sidelight fleet suppress add-vex --format json"
    ),
    "access-users": CatalogueEntry(
        list[access.ConsoleUserDocument], "sidelight access user list --format json"
    ),
    "access-audit": CatalogueEntry(
        list[access.AuditRecordDocument], "sidelight access audit --format json"
    ),
    "finding-event": CatalogueEntry(
        inspector2.FindingEventDocument,
        "sidelight fleet events --format json; --publish to SNS, a webhook, a file or stdout",
    ),
    "coverage-event": CatalogueEntry(
        inspector2.CoverageEventDocument,
        "sidelight fleet events --format json; --publish to SNS, a webhook, a file or stdout",
    ),
    "scan-event": CatalogueEntry(
        inspector2.ScanEventDocument,
        "sidelight fleet events --format json; --publish to SNS, a webhook, a file or stdout",
    ),
    "inspector2-finding": CatalogueEntry(
        inspector2.InspectorFinding, "the detail of events; --publish to EventBridge"
    ),
    "advisories-fetch": CatalogueEntry(
        list[advisories.FetchOutcomeDocument], "sidelight advisories fetch --format json"
    ),
    "advisories-sources": CatalogueEntry(
        list[advisories.SourceDocument], "sidelight advisories fetch --list --format json"
    ),
    "advisories-info": CatalogueEntry(
        advisories.DatabaseInfoDocument, "sidelight advisories info --format json"
    ),
    "network-explanation": CatalogueEntry(
        network.ExplanationDocument, "sidelight network explain --format json"
    ),
    "network-scan": CatalogueEntry(
        network.NetworkScanDocument, "sidelight network scan --format json"
    ),
    "inspector-comparison": CatalogueEntry(
        inspector_comparison.InspectorComparisonDocument,
        "sidelight inspector compare --format json",
    ),
    "probe-recording": CatalogueEntry(
        probe.RecordingLine, "sidelight probe --output FILE, each line"
    ),
    "doctor": CatalogueEntry(doctor.DoctorDocument, "sidelight doctor --format json"),
    "run-health": CatalogueEntry(fleet.HealthDocument, "sidelight fleet run --health FILE"),
    "advisories-update": CatalogueEntry(
        advisories.AdvisoryUpdateDocument, "sidelight advisories update --format json"
    ),
    "advisories-state": CatalogueEntry(
        advisories.UpdateStateDocument, "NAME.feeds.json beside an advisory database"
    ),
    "advisories-bundle-manifest": CatalogueEntry(
        advisories.BundleManifestDocument, "the manifest of sidelight advisories bundle"
    ),
    "download-note": CatalogueEntry(advisories.DownloadNote, ".NAME.json beside a downloaded feed"),
    "partial-download-note": CatalogueEntry(
        advisories.PartialDownloadNote, ".NAME.part.json beside an interrupted download"
    ),
}
