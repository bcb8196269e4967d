"""The describe calls of an account-region that the network model reads (sidelight.reachability).

Each stem of `sidelight.reachability.stems` is one call, in pages of the largest size that AWS
allows, or one call for each object of another stem. A refused or failed call costs its own answer:
it is a Problem that names the missing permission, and the other calls go on.

Sources: the API references of EC2, Elastic Load Balancing, Direct Connect and Network Firewall.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError

from sidelight.aws import send_hook
from sidelight.aws.faults import EXPIRED, THROTTLES, code_of, may_pass, translate
from sidelight.aws.rate_limit import RateLimiter, Unlimited
from sidelight.backoff import delay
from sidelight.errors import AccessDeniedError, CloudError, LimitError, SidelightError, UsageError
from sidelight.model.software import Problem
from sidelight.reachability.stems import STEMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sidelight.aws.session import Session
    from sidelight.reachability.stems import Stem

ATTEMPTS = 6
FIRST_WAIT, LONGEST_WAIT = 0.1, 5.0  # seconds; doubles with each attempt, with full jitter
MOST_PAGES = 20_000  # of one call: a token that leads in a circle ends there
PAGE = 1000  # the most objects a page where botocore's model of a call states no maximum
# IAM's prefix of a service's actions, where it is not the service's own name.
IAM_PREFIXES = {"elb": "elasticloadbalancing", "elbv2": "elasticloadbalancing"}
# An object was deleted between the listing and the call about it: the listing is not wrong.
GONE = frozenset(
    {
        "InvalidPrefixListID.NotFound",
        "InvalidRouteTableID.NotFound",
        "ListenerNotFound",
        "ListenerNotFoundException",
        "LoadBalancerNotFound",
        "LoadBalancerNotFoundException",
        "ResourceNotFoundException",
        "TargetGroupNotFound",
        "TargetGroupNotFoundException",
    }
)


class PageMembers(NamedTuple):
    """A service's names for the page size, the token of the next page, and that in an answer."""

    size: str
    token: str
    next: str


PAGES = {
    "ec2": PageMembers("MaxResults", "NextToken", "NextToken"),
    "elbv2": PageMembers("PageSize", "Marker", "NextMarker"),
    "elb": PageMembers("PageSize", "Marker", "NextMarker"),
    "directconnect": PageMembers("maxResults", "nextToken", "nextToken"),
    "network-firewall": PageMembers("MaxResults", "NextToken", "NextToken"),
}


def permission(stem: Stem) -> str:
    """Return the IAM action that allows a stem's call."""
    return f"{IAM_PREFIXES.get(stem.service, stem.service)}:{stem.operation}"


class NetworkCalls:
    """Collects the answers of one account-region. `problems` are those of the calls so far."""

    def __init__(
        self,
        session: Session,
        account: str,
        region: str,
        *,
        pace: RateLimiter | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`account`: whose role is assumed, or empty for the environment's own credentials."""
        self._session = session
        self._account = account
        self._region = region
        self._pace = pace or Unlimited()
        self._sleep = sleep
        self.calls = 0
        self.problems: list[Problem] = []

    def collect(self) -> dict[str, list[Any]]:
        """Return the answers by stem; stems whose call failed are absent.

        Raises UsageError, and the first call's error if no call succeeds.
        """
        answers: dict[str, list[Any]] = {}
        first: SidelightError | None = None
        for name, stem in STEMS.items():
            if stem.parent and stem.parent not in answers:
                continue  # the parent's Problem says why
            try:
                answers[name] = list(self._objects(stem, answers.get(stem.parent, [])))
            except UsageError:
                raise
            except SidelightError as error:
                first = first or error
                self.problems.append(Problem(error.where, _reason(stem, error)))
        if first and not answers:
            raise first
        return answers

    def _objects(self, stem: Stem, parents: list[object]) -> Iterator[object]:
        if not stem.parent:
            yield from self._listed(stem, dict(stem.arguments))
            return
        for identity in _parent_ids(stem, parents):
            request = {**stem.arguments, stem.argument: identity}
            try:
                if not stem.list_key:
                    yield {stem.parent_key: identity, **self._whole(stem, request)}
                elif stem.flat:
                    yield from self._listed(stem, request)
                else:
                    found = self._kept(stem, request)
                    yield {stem.parent_key: identity, stem.list_key: found}
            except CloudError as error:
                if error.code not in GONE:
                    raise

    def _kept(self, stem: Stem, request: dict[str, Any]) -> Any:
        """Return an answer's member: its list over all pages, or the structure that it is."""
        answer = self._call(stem, request) if stem.pages == "none" else None
        if answer is None:
            return list(self._listed(stem, request))
        return answer.get(stem.list_key, [])

    def _whole(self, stem: Stem, request: dict[str, object]) -> dict[str, object]:
        answer = self._call(stem, request)
        return {key: value for key, value in answer.items() if key != "ResponseMetadata"}

    def _listed(self, stem: Stem, request: dict[str, Any]) -> Iterator[Any]:
        members = PAGES[stem.service]
        if stem.pages != "none":
            request = {**request, members.size: self._page_size(stem, members)}
        for _ in range(MOST_PAGES):
            answer = self._call(stem, request)
            yield from answer.get(stem.list_key) or ()
            token = answer.get(members.next) if stem.pages != "none" else None
            if not token:
                return
            if token == request.get(members.token):
                raise LimitError("AWS returned the same page token twice", where=self._where(stem))
            request = {**request, members.token: token}
        raise LimitError(f"more than {MOST_PAGES} pages", where=self._where(stem))

    def _page_size(self, stem: Stem, members: PageMembers) -> int:
        client = self._client(stem)
        shape = client.meta.service_model.operation_model(stem.operation).input_shape
        most = shape.members[members.size].metadata.get("max", PAGE)
        return min(int(most), PAGE)

    def _client(self, stem: Stem) -> Any:
        # botocore tries once: its own retries would be calls that the limiter does not count.
        return self._session.client(
            stem.service, account=self._account or None, region=self._region, attempts=1
        )

    def _where(self, stem: Stem) -> str:
        place = "/".join(filter(None, (self._account, self._region)))
        return f"{place} {stem.service} {stem.operation}"

    def _call(self, stem: Stem, request: dict[str, Any]) -> dict[str, Any]:
        """Call once, or again after a throttle or a server's error. Raises SidelightError."""
        attempt, renewed = 0, False

        def turn() -> None:
            self._pace.before("describe")
            self.calls += 1

        while True:
            client = self._client(stem)
            call: Callable[..., dict[str, object]] = getattr(client, xform_name(stem.operation))
            try:
                with send_hook.waiting(turn):
                    return call(**request)
            except (ClientError, BotoCoreError, OSError) as error:
                code = code_of(error)
                if code in THROTTLES:
                    self._pace.throttled("describe")
                if code in EXPIRED and not renewed:
                    renewed = self._session.renew(self._account or None, client)
                    if renewed:
                        continue
                attempt += 1
                if attempt >= ATTEMPTS or not may_pass(error):
                    raise translate(error, where=self._where(stem)) from error
            self._sleep(delay(FIRST_WAIT, attempt, LONGEST_WAIT))


def _parent_ids(stem: Stem, parents: list[Any]) -> Iterator[str]:
    """Yield the id of each object that a stem's call is asked about."""
    for parent in parents:
        for item in parent.get(stem.parent_list) or () if stem.parent_list else (parent,):
            identity = item.get(stem.parent_key)
            if identity:
                yield str(identity)


def _reason(stem: Stem, error: SidelightError) -> str:
    if isinstance(error, AccessDeniedError):
        return f"{stem.name} is not known; the role needs {permission(stem)} ({error.what})"
    return f"{stem.name} is not known: {error.what}"
