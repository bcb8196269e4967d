"""Where every request comes in: who asks, what for, what may go wrong, what is counted."""

from __future__ import annotations

import re
import time
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from sidelight.localcloud import cloudwatch, ebs_direct, recycle_bin, signing_time
from sidelight.localcloud.faults import FaultPlan, refuse, spoil
from sidelight.localcloud.messages import AwsError, Caller, Reply, caller_of, render
from sidelight.localcloud.policies import simulation

if TYPE_CHECKING:
    from collections.abc import Callable

    from sidelight.localcloud.counters import Counters
    from sidelight.localcloud.ebs_direct import EbsDirect, Target
    from sidelight.localcloud.messages import Request
    from sidelight.localcloud.moto_services import ControlPlane
    from sidelight.localcloud.rates import Buckets

# These STS calls carry their proof in the body.
UNSIGNED = {"AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"}
DEFAULT_REGION = "us-east-1"


class Front:
    """The pipeline of one local cloud. `plan` and `latency` may be changed while it runs."""

    def __init__(
        self,
        ebs: EbsDirect,
        control_plane: ControlPlane,
        counters: Counters,
        sleep: Callable[[float], None],
        weather: FaultPlan | None = None,
    ) -> None:
        """`sleep` waits so many seconds; `latency` are the seconds that every call waits.

        `weather`: what may befall any call besides the plan's faults.
        """
        self._ebs = ebs
        self._control_plane = control_plane
        self._counters = counters
        self._sleep = sleep
        self.plan = FaultPlan()
        self.latency = 0.0
        self._weather = weather or FaultPlan()
        self.buckets: Buckets | None = None  # AWS's rates
        self.checks_time = False
        self.checks_policies = False
        self.ahead = 0.0  # seconds by which AWS's clock is ahead of this machine's

    def __call__(self, request: Request) -> Reply:
        """The answer to one request of an AWS client."""
        caller = caller_of(request.headers)
        action = _action(request)
        if caller is not None and caller.service == "rbin":
            action = recycle_bin.action(request)
        if caller is None and action in UNSIGNED:
            caller = Caller("", DEFAULT_REGION, "sts")
        if caller is None:
            return _refuse_stranger(request, action)
        target = ebs_direct.route(request) if caller.service == "ebs" else None
        operation = f"{caller.service}:{target.operation if target else action}"
        account = self._control_plane.account(caller.access_key)
        tally = self._counters.enter(operation, account, request.arrived)
        if target is not None and target.block is not None:
            self._counters.block(_resource(target))
        size, failed = 0, True
        try:
            reply = self._work(request, caller, target, operation, account)
            size, failed = len(reply.body), reply.status >= 400
            return reply
        finally:
            self._counters.leave(tally, size, failed=failed)

    def _work(
        self,
        request: Request,
        caller: Caller,
        target: Target | None,
        operation: str,
        account: str,
    ) -> Reply:
        verdict = self.plan.judge(operation, account, _resource(target))
        wait = self.latency + verdict.seconds
        if wait > 0:
            self._sleep(wait)
        try:
            weather = self._weather.judge(operation, account, _resource(target))
            for rule in verdict.before + weather.before:
                refusal = refuse(rule, caller.service)
                if isinstance(refusal, Reply):
                    return refusal
                raise refusal
            if self.buckets is not None:
                self.buckets.take(request, operation, account, caller.region)
            reply = self._answer(request, caller, target, operation, account)
        except AwsError as error:
            reply = render(error, caller.service)
        reply.headers.setdefault("Date", formatdate(time.time() + self.ahead, usegmt=True))
        return spoil(verdict.after, reply)

    def _answer(
        self,
        request: Request,
        caller: Caller,
        target: Target | None,
        operation: str,
        account: str,
    ) -> Reply:
        if self.checks_time:
            signing_time.check(request, caller.service, time.time() + self.ahead)
        self._control_plane.check(caller, request.headers.get("x-amz-security-token", ""))
        if self.checks_policies:
            snapshot = target.snapshot if target is not None else ""
            self._control_plane.authorize(request, caller, account, operation, snapshot)
        if caller.service == "rbin":
            return recycle_bin.answer(request, self._ebs.recycle_days)
        if caller.service == cloudwatch.SERVICE:
            action = operation.partition(":")[2]
            return cloudwatch.answer(request, action, self._ebs.writes, account, caller.region)
        if operation == simulation.OPERATION:
            return self._control_plane.simulate(request, account)
        if caller.service != "ebs":
            return self._control_plane.answer(request, caller, account)
        if target is None:
            raise AwsError(
                "UnknownOperationException",
                f"{request.method} {request.path} is not in the local cloud.",
                status=404,
            )
        return self._ebs.answer(request, target, account, caller.region)


def _action(request: Request) -> str:
    """The operation's name in the query and JSON protocols; empty where there is none."""
    target = request.headers.get("x-amz-target", "")
    if target:
        return target.rpartition(".")[2]
    if "Action" in request.query:
        return request.query["Action"]
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        match = re.search(rb"(?:^|&)Action=([^&]*)", request.body)
        if match:
            return unquote_plus(match.group(1).decode("latin-1"))
    return ""


def _resource(target: Target | None) -> str:
    if target is None:
        return ""
    return target.snapshot if target.block is None else f"{target.snapshot}/{target.block}"


def _refuse_stranger(request: Request, action: str) -> Reply:
    """No credentials: as the service would say it, as far as the request shows which it is."""
    if action and "x-amz-target" not in request.headers:
        message = "The request must contain the parameter AWSAccessKeyId"
        return render(AwsError("MissingParameter", message), "ec2")
    service = "ebs" if request.path.startswith("/snapshots/") else "json"
    error = AwsError("MissingAuthenticationTokenException", "Missing Authentication Token")
    error.status = 403
    return render(error, service)
