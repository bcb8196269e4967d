"""The document of `sidelight doctor`."""

from typing import Annotated, TypedDict

from sidelight.documents.markers import OneOf

CheckStatus = Annotated[str, OneOf(("OK", "WARNING", "ERROR", "NOT_CHECKED"))]


class CheckDocument(TypedDict):
    """One check. `account` and `region` are empty for what is not in an account-region.

    `remedy` says how to fix it: a setting, a command, or a permission and the file that has it.
    """

    group: str
    name: str
    account: str
    region: str
    status: CheckStatus
    detail: str
    remedy: str


class DoctorDocument(TypedDict):
    """All checks in their order, and how many have each status."""

    checks: list[CheckDocument]
    ok: int
    warnings: int
    errors: int
    not_checked: int
