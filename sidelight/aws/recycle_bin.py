"""How long an account's Recycle Bin keeps, and bills, deleted snapshots.

Source: the Recycle Bin API reference (ListRules, GetRule); "Recycle Bin" in EC2's manual. Needs
rbin:ListRules and rbin:GetRule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidelight.aws.faults import translated
from sidelight.aws.pages import pages

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidelight.aws.pages import NextPage
    from sidelight.aws.session import Session

ATTEMPTS = 2  # the result is only displayed
MOST_PAGES = 1000  # an account may have 250 rules in a Region


def kept_days(session: Session, account: str, region: str, tags: Mapping[str, str]) -> int:
    """Return the days that a snapshot with these tags is kept after deletion; 0 without a rule.

    Of several matching rules, the longest retention counts. Raises AccessDeniedError, CloudError.
    """
    client = session.client("rbin", account=account, region=region, attempts=ATTEMPTS)
    where = f"{account}/{region} list_rules"

    def listed(following: NextPage) -> dict[str, Any]:
        with translated(where):
            answer: dict[str, Any] = client.list_rules(ResourceType="EBS_SNAPSHOT", **following)
        return answer

    answers = pages(listed, where, most=MOST_PAGES)
    rules = [rule for answer in answers for rule in answer.get("Rules") or ()]
    days = 0
    for rule in rules:
        identifier = rule.get("Identifier", "")
        with translated(f"{account}/{region} get_rule: {identifier}"):
            whole = client.get_rule(Identifier=identifier)
        if keeps(whole, tags):
            period = whole.get("RetentionPeriod") or {}
            days = max(days, int(period.get("RetentionPeriodValue") or 0))
    return days


def keeps(rule: Mapping[str, Any], tags: Mapping[str, str]) -> bool:
    """Whether a Recycle Bin rule (GetRule's answer) keeps a snapshot with these tags.

    True for a rule that could not be read.
    """

    def meets(wanted: Any) -> bool:
        return any(
            tag.get("ResourceTagKey") in tags
            and tag.get("ResourceTagValue") in (None, "", tags[tag["ResourceTagKey"]])
            for tag in wanted
        )

    if rule.get("ResourceTags"):
        return meets(rule["ResourceTags"])
    return not meets(rule.get("ExcludeResourceTags") or ())
