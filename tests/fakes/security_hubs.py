"""A Security Hub that keeps findings, and fails as a test plans it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Hub:
    """Security Hub of every account and Region: keeps findings as BatchImportFindings does.

    `plan` has what the next calls do: an error to raise, or a function from the findings' ids to
    those that fail, and why.
    """

    def __init__(self, *plan: Exception | Callable[[str], str]) -> None:
        self.plan = list(plan)
        self.calls: list[tuple[str, list[dict[str, Any]]]] = []
        self.kept: dict[str, dict[str, Any]] = {}
        self.account = ""
        self.denied: dict[str, Exception] = {}

    def client(self, service: str, *, account: str, region: str) -> Hub:
        assert service == "securityhub"
        assert region
        self.account = account
        return self

    def batch_import_findings(self, *, Findings: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        self.calls.append((self.account, Findings))
        if self.account in self.denied:
            raise self.denied[self.account]
        step = self.plan.pop(0) if self.plan else None
        if isinstance(step, Exception):
            raise step
        failed = []
        for finding in Findings:
            assert finding["AwsAccountId"] == self.account, "another account's finding"
            why = step(finding["Id"]) if step else ""
            if why:
                failed.append({"Id": finding["Id"], "ErrorCode": why, "ErrorMessage": "no"})
            elif finding["UpdatedAt"] >= self.kept.get(finding["Id"], finding)["UpdatedAt"]:
                self.kept[finding["Id"]] = finding
        return {
            "FailedCount": len(failed), "SuccessCount": len(Findings) - len(failed),
            "FailedFindings": failed,
        }  # fmt: skip
