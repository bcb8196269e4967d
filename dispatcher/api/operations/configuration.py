"""GetConfiguration, UpdateConfiguration."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dispatcher.api.operations.callers import actor, bad_request, effective_of, only
from dispatcher.api.operations.request_values import (
    criteria_document,
    flag,
    invalid,
    structure,
    text,
)
from dispatcher.planning.configuration_rules import ConfigurationChange
from sidelight.errors import UsageError
from sidelight.model import Ec2ScanMode

if TYPE_CHECKING:
    from dispatcher.api.call import ApiRequest, ApiResponse, Call

INHERIT = "INHERIT_FROM_ADMIN"


def get_configuration(call: Call, request: ApiRequest) -> ApiResponse:
    """GetConfiguration: the effective configuration, with what a member inherits."""
    account = text(request, "accountId") or call.account_id
    call.check_visible(account)
    held = effective_of(call, account)
    answer: dict[str, object] = {
        "ec2Configuration": {
            "scanModeState": {"scanMode": held.mode.value, "scanModeStatus": "SUCCESS"},
            "vmScannerState": {"activated": held.vm_scanner, "status": "SUCCESS"},
        }
    }
    if held.ami_scanning:
        answer["amiConfiguration"] = {**json.loads(held.ami_scanning), "status": "SUCCESS"}
    if held.ecr_scanning:
        state = {**json.loads(held.ecr_scanning), "status": "SUCCESS"}
        answer["ecrConfiguration"] = {"rescanDurationState": state}
    return answer


def update_configuration(call: Call, request: ApiRequest) -> ApiResponse:
    """UpdateConfiguration: of an account, which its members inherit; or back to inheriting."""
    account = text(request, "accountId") or call.account_id
    if not request.keys() - {"accountId"}:
        raise invalid("ec2Configuration", "the request has no configuration")
    service = call.services.configuration
    if text(structure(request, "updateConfigurationInheritance"), "ec2Configuration") == INHERIT:
        if "ec2Configuration" in request or "accountId" not in request:
            raise invalid(
                "updateConfigurationInheritance", "needs accountId, and no ec2Configuration"
            )
        only(service.reset([account], actor=actor(call)))
        return {}
    ec2, ami = structure(request, "ec2Configuration"), structure(request, "amiConfiguration")
    ecr = structure(request, "ecrConfiguration")
    change = ConfigurationChange(
        mode=Ec2ScanMode(text(ec2, "scanMode")) if ec2 else None,
        vm_scanner=flag(ec2, "activateVMScanner"),
        ami_scanning=json.dumps(criteria_document(ami)) if ami else None,
        ecr_scanning=json.dumps(criteria_document(ecr)) if ecr else None,
    )
    try:
        only(service.configure([account], change, actor=actor(call)))
    except UsageError as error:
        raise bad_request(error) from error
    return {}


HANDLERS = {"GetConfiguration": get_configuration, "UpdateConfiguration": update_configuration}
