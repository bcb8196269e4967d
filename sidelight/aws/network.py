"""The describe calls of an account-region that the network model reads (sidelight.reachability).

Each stem of `sidelight.reachability.answers.stems` is one call, in pages of the largest size that
AWS allows, or one call for each object of another stem. A refused or failed call costs its own
answer: it is a Problem that names the missing permission, and the other calls go on.

Sources: the API references of EC2, Elastic Load Balancing, Direct Connect and Network Firewall.
"""

from __future__ import annotations

import time
from functools import partial
from operator import methodcaller
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore import xform_name

from sidelight.aws.paced_calls import PacedCalls
from sidelight.aws.pages import NextPage, pages
from sidelight.aws.permissions.call_catalogue import action
from sidelight.errors import AccessDeniedError, CloudError, SidelightError, UsageError
from sidelight.model.software import Problem
from sidelight.reachability.answers.stems import STEMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sidelight.aws.rate_limit import RateLimiter
    from sidelight.aws.session import Session
    from sidelight.reachability.answers.stems import Stem

MOST_REFUSED = 3  # objects that a call is refused about, before it is taken as refused for all
PAGE = 1000  # the most objects a page where botocore's model of a call states no maximum
# IAM's prefix of a service's actions, where it is not the service's own name.
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
    return action(stem.service, stem.operation)


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
        self._pace = pace
        self._sleep = sleep
        self._clients: dict[str, PacedCalls[Any]] = {}  # by service
        self.problems: list[Problem] = []
        self.refused: list[tuple[str, str]] = []  # (stem, object) of refused calls about one object

    @property
    def calls(self) -> int:
        """How many calls were sent."""
        return sum(client.calls for client in self._clients.values())

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
        answers, refused = 0, 0
        for identity in _parent_ids(stem, parents):
            try:
                yield from self._about(stem, identity)
                answers += 1
            except AccessDeniedError as error:
                refused += 1
                # A policy may refuse some objects; one that refuses them all refuses the call.
                if not answers and refused >= MOST_REFUSED:
                    raise
                self.refused.append((stem.name, identity))
                self.problems.append(Problem(error.where, f"{_reason(stem, error)} of {identity}"))
            except CloudError as error:
                if error.code not in GONE:
                    raise

    def _about(self, stem: Stem, identity: str) -> Iterator[object]:
        """Yield what one object's call answers."""
        request = {**stem.arguments, stem.argument: identity}
        if not stem.list_key:
            yield {stem.parent_key: identity, **self._whole(stem, request)}
        elif stem.flat:
            yield from self._listed(stem, request)
        else:
            yield {stem.parent_key: identity, stem.list_key: self._kept(stem, request)}

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
        if stem.pages == "none":
            yield from self._call(stem, request).get(stem.list_key) or ()
            return
        members = PAGES[stem.service]
        sized = {**request, members.size: self._page_size(stem, members)}

        def page(following: NextPage) -> dict[str, Any]:
            token = following.get("NextToken")
            return self._call(stem, {**sized, members.token: token} if token else sized)

        for answer in pages(page, self._where(stem), member=members.next):
            yield from answer.get(stem.list_key) or ()

    def _page_size(self, stem: Stem, members: PageMembers) -> int:
        client = self._client(stem)
        shape = client.meta.service_model.operation_model(stem.operation).input_shape
        most = shape.members[members.size].metadata.get("max", PAGE)
        return min(int(most), PAGE)

    def _client(self, stem: Stem) -> Any:
        return self._session.client(
            stem.service, account=self._account or None, region=self._region, attempts=1
        )

    def _where(self, stem: Stem) -> str:
        place = "/".join(filter(None, (self._account, self._region)))
        return f"{place} {stem.service} {stem.operation}"

    def _call(self, stem: Stem, request: dict[str, Any]) -> dict[str, Any]:
        """Call once, or again after a throttle or a server's error. Raises SidelightError."""
        client = self._clients.get(stem.service)
        if client is None:
            client = self._clients[stem.service] = PacedCalls(
                self._session,
                partial(self._client, stem),
                self._account,
                pace=self._pace,
                sleep=self._sleep,
            )
        operation = methodcaller(xform_name(stem.operation), **request)
        return client.call(operation, self._where(stem))


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
