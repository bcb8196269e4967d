"""Recycle Bin's ListRules and GetRule: the retention rules of an account and Region.

Source: the Recycle Bin API reference. A local cloud has one Region-level rule for snapshots, or
none (`recycle_days` of its conditions).
"""

from __future__ import annotations

import json

from sidelight.localcloud.messages import AwsError, Reply, Request

RULE = "sidelight01"  # 11 letters and digits, as the service names its rules


def action(request: Request) -> str:
    """The operation's name by method and path; empty for one that is not here."""
    if (request.method, request.path) == ("GET", f"/rules/{RULE}"):
        return "GetRule"
    return "ListRules" if (request.method, request.path) == ("POST", "/list-rules") else ""


def answer(request: Request, recycle_days: int) -> Reply:
    """The reply. Raises AwsError."""
    try:
        members = json.loads(request.body or b"{}")
    except ValueError as error:
        raise AwsError("ValidationException", "The request is not JSON.") from error
    if not action(request) or not isinstance(members, dict):
        raise AwsError("ValidationException", "Only reading rules is in the local cloud.")
    period = {"RetentionPeriodValue": recycle_days, "RetentionPeriodUnit": "DAYS"}
    rule = {"Identifier": RULE, "RetentionPeriod": period, "LockState": "unlocked"}
    document: dict[str, object] = {**rule, "ResourceType": "EBS_SNAPSHOT", "Status": "available"}
    if action(request) == "ListRules":
        known = recycle_days and members.get("ResourceType") == "EBS_SNAPSHOT"
        document = {"Rules": [rule] if known else []}
    return Reply(200, {"Content-Type": "application/json"}, json.dumps(document).encode())
