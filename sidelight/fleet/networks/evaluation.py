"""One evaluation of an account-region's network: claimed, collected, evaluated, stored, covered.

Safe to run twice: the claim is a lease in the store, and findings are reconciled with what was
found. What could not be read closes nothing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from sidelight.completeness import COMPLETE_SCAN, PARTIAL_SCAN
from sidelight.errors import AccessDeniedError, SidelightError, UsageError
from sidelight.fleet.networks import peers
from sidelight.fleet.networks.gaps import (
    MissingAnswer,
    closes_by,
    concerns,
    gaps_of,
    missing_required,
)
from sidelight.fleet.networks.kept_answers import kept_of
from sidelight.fleet.networks.scopes import scope_of
from sidelight.fleet.networks.stored_findings import InstanceFindings, by_instance
from sidelight.fleet.stages.stage_limits import StageTimeError, stage_time
from sidelight.model import Coverage, FindingChanges, FindingType, InstanceRef, Problem, ScanType
from sidelight.model.coverage_reasons import CLOSING, NOT_EVALUATED, STOPPED, TERMINATED
from sidelight.reachability import Answers, Network
from sidelight.store import NetworkObservation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from sidelight.fleet.context import Context, NetworkCollector
    from sidelight.model import NetworkFinding
    from sidelight.store import NetworkClaim, Store

log = logging.getLogger(__name__)

ACTIVE, INACTIVE = "ACTIVE", "INACTIVE"
RUNNING = frozenset({"running", "pending"})
ENDED = frozenset({"terminated", "shutting-down"})
LEASE_AFTER = 60.0  # seconds beyond an evaluation's time, until another process may claim it
SHOWN_PROBLEMS = 3  # in a coverage row's detail


@dataclass(frozen=True, slots=True)
class NetworkEvaluation:
    """The parts of evaluations. `interval` and `seconds`: between two, and of one at most."""

    store: Store
    collector: Callable[[str, str], NetworkCollector]
    interval: float
    seconds: float


@dataclass(slots=True)
class NetworkResult:
    """The result of an evaluation. `problems` are what could not be read."""

    account: str
    region: str
    evaluated: int = 0
    findings: FindingChanges = field(default_factory=FindingChanges)
    problems: list[Problem] = field(default_factory=list)
    failure: str = ""


def of_context(context: Context) -> NetworkEvaluation:
    """Return the parts that a worker has. Raises UsageError where networks are not evaluated."""
    settings = context.settings.networks
    if context.networks is None or not settings.interval:
        raise UsageError("networks are not evaluated here", where="SIDELIGHT_NETWORK_HOURS")
    return NetworkEvaluation(
        context.store, context.networks, settings.interval, settings.network_seconds
    )


def evaluate(parts: NetworkEvaluation, account: str, region: str) -> NetworkResult | None:
    """Evaluate an account-region's network; None if it is not due, or another process does.

    A failure is written to the evaluation's row, which is due again after a while. Raises
    StoreError.
    """
    claim = parts.store.network_evaluations.claim(account, region, parts.seconds + LEASE_AFTER)
    if claim is None:
        return None
    try:
        with stage_time(parts.seconds):
            return _evaluate(parts, claim)
    except StageTimeError:
        return _failed(parts, claim, f"took longer than {parts.seconds:g} s")
    except AccessDeniedError as error:
        result = _failed(parts, claim, str(error))
        _cover_denied(parts.store, claim, str(error))
        return result
    except SidelightError as error:
        return _failed(parts, claim, str(error))
    except BaseException as error:
        _failed(parts, claim, f"{type(error).__name__}: {error}")
        raise


def _failed(parts: NetworkEvaluation, claim: NetworkClaim, why: str) -> NetworkResult:
    log.warning("%s/%s: network: %s", claim.account, claim.region, why)
    parts.store.network_evaluations.fail(claim, why[:1000])
    return NetworkResult(claim.account, claim.region, failure=why)


def _evaluate(parts: NetworkEvaluation, claim: NetworkClaim) -> NetworkResult:
    store, account, region = parts.store, claim.account, claim.region
    collector = parts.collector(account, region)
    described_at = store.clock()
    collected = collector.collect()
    joined = peers.peers_of(collected, account, region)
    of_peers = peers.load_peers(store, joined)
    answers: dict[tuple[str, str], Any] = {**of_peers.lists, (account, region): collected}
    network = Network.from_answers(Answers(answers))
    vpcs = _scope(store, claim, answers)
    found = by_instance(
        item for item in network.findings(vpcs) if (item.account, item.region) == (account, region)
    )
    gaps = gaps_of(collected, collector.refused, network.problems) | of_peers.gaps
    problems = [*collector.problems, *of_peers.problems, *network.problems]
    result = NetworkResult(account, region, problems=problems)
    if missing := missing_required(gaps):
        why = _texts(p for p in problems if any(name in p.what for name in missing))
        _cover_denied(store, claim, why or f"not known: {', '.join(missing)}")
    else:
        described = _Network(collected, described_at, found, gaps, _texts(problems), vpcs)
        _store(store, claim, described, result)
    first = store.network_evaluations.answers(account, region)
    store.network_evaluations.finish(claim, parts.interval, _texts(problems), kept_of(collected))
    if first is not None and first.evaluated_at is None and of_peers.lists:
        # They were evaluated without this account-region's answers.
        store.network_evaluations.request(of_peers.lists)
    return result


# Before the id of an object that changed in a peer's account-region: that one asked for all others.
_OF_PEER: Final = "~"


def _scope(
    store: Store, claim: NetworkClaim, answers: Mapping[tuple[str, str], Any]
) -> frozenset[str] | None:
    """Return the VPCs to evaluate, None for all; ask for those of peers, which it may reach."""
    if not claim.changed:
        return None
    scope = scope_of(answers, [identity.removeprefix(_OF_PEER) for identity in claim.changed])
    if scope is None:
        return None
    if not all(identity.startswith(_OF_PEER) for identity in claim.changed):
        for place, vpcs in scope.vpcs.items():
            if place != (claim.account, claim.region):
                changed = [f"{_OF_PEER}{vpc}" for vpc in vpcs]
                store.network_evaluations.request([place], changed=changed)
    return scope.of(claim.account, claim.region)


def _texts(problems: Iterable[Problem]) -> str:
    texts = list(dict.fromkeys(f"{problem.where}: {problem.what}" for problem in problems))
    more = f"; and {len(texts) - SHOWN_PROBLEMS} more" if len(texts) > SHOWN_PROBLEMS else ""
    return "; ".join(texts[:SHOWN_PROBLEMS]) + more


@dataclass(frozen=True, slots=True)
class _Network:
    """The stored findings. `instances` have no more than an id, a state, a VPC and a name here."""

    collected: Mapping[str, Sequence[object]]
    described_at: datetime
    found: Mapping[str, InstanceFindings]
    gaps: frozenset[MissingAnswer]
    detail: str
    vpcs: frozenset[str] | None  # the evaluated ones, None for all


@dataclass(frozen=True, slots=True)
class _Described:
    state: str
    vpc: str
    name: str


def _store(store: Store, claim: NetworkClaim, network: _Network, result: NetworkResult) -> None:
    """Reconcile the findings of the instances that are evaluated, and write coverage."""
    account, region = claim.account, claim.region
    known = store.instances.network_states(account, region)
    described = _described(network.collected)
    closes = closes_by(network.gaps, network.collected)
    observed, rows, gone = [], [], []
    for instance in sorted({*known, *store.network_findings.open_instances(account, region)}):
        at = described.get(instance)
        state = known.get(instance)
        if state is not None and state[1] in NOT_EVALUATED:
            continue
        if network.vpcs is not None and (at is None or at.vpc not in network.vpcs):
            continue
        if at is None or at.state in ENDED:
            gone.append(instance)
            rows.append(_row(claim, instance, "", (INACTIVE, TERMINATED)))
        elif at.state not in RUNNING:
            rows.append(_row(claim, instance, at.name, (INACTIVE, STOPPED), f"is {at.state}"))
        else:
            own = network.found.get(instance, InstanceFindings([], complete=True))
            observed.append(
                NetworkObservation(
                    InstanceRef(account, region, instance),
                    own.findings,
                    closes if own.complete else _nothing,
                )
            )
            partial = concerns(network.gaps, at.vpc) or not own.complete
            code = ACTIVE, PARTIAL_SCAN if partial else COMPLETE_SCAN
            rows.append(_row(claim, instance, at.name, code, network.detail if partial else ""))
    result.findings = store.network_findings.evaluate(account, observed)
    result.evaluated = len(observed)
    store.findings.close_instances(account, gone, FindingType.NETWORK_REACHABILITY)
    now = store.clock()
    scanned = [replace(row, scanned_at=now) if row.status_code == ACTIVE else row for row in rows]
    _cover(store, scanned, network.described_at)


def _cover(store: Store, rows: Sequence[Coverage], described_at: datetime) -> None:
    """Write the coverage of one account's instances; the scores of their findings depend on it.

    The findings that were stored of an instance which was excluded or terminated meanwhile are
    closed.
    """
    ended = store.instances.cover_networks(rows, described_at)
    for account in {row.account for row in rows}:
        store.exposures.update(account, [row.instance for row in rows])
        closing = [
            name for (owner, name), why in ended.items() if owner == account and why in CLOSING
        ]
        store.findings.close_instances(account, closing, FindingType.NETWORK_REACHABILITY)


def _nothing(_: NetworkFinding) -> bool:
    return False


def _described(collected: Mapping[str, Sequence[object]]) -> dict[str, _Described]:
    """Return the described instances by id."""
    found = {}
    for reservation in collected.get("Reservations", ()):
        items = reservation.get("Instances") if isinstance(reservation, dict) else None
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict) and isinstance(item.get("InstanceId"), str):
                state = item.get("State")
                named = [
                    str(tag.get("Value", ""))
                    for tag in item.get("Tags") or ()
                    if isinstance(tag, dict) and tag.get("Key") == "Name"
                ]
                found[item["InstanceId"]] = _Described(
                    str(state.get("Name", "")) if isinstance(state, dict) else "",
                    str(item.get("VpcId", "")),
                    named[0] if named else "",
                )
    return found


def _row(
    claim: NetworkClaim, instance: str, name: str, code: tuple[str, str], detail: str = ""
) -> Coverage:
    return Coverage(
        account=claim.account,
        region=claim.region,
        instance=instance,
        name=name,
        status_code=code[0],
        reason=code[1],
        detail=detail,
        scan_mode="",
        scan_type=ScanType.NETWORK.value,
    )


def _cover_denied(store: Store, claim: NetworkClaim, why: str) -> None:
    """Write to the instances that were to be evaluated why they are not; findings stay."""
    known = store.instances.network_states(claim.account, claim.region)
    names = store.instances.names(claim.account, known)
    rows = [
        _row(claim, instance, names.get(instance, ""), (INACTIVE, "ACCESS_DENIED"), why)
        for instance, (status, reason) in sorted(known.items())
        if status == ACTIVE or reason in ("ACCESS_DENIED", "INTERNAL_ERROR")
    ]
    _cover(store, rows, store.clock())
