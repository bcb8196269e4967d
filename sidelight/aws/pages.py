"""All pages of a listing, bounded: AWS may repeat a token, or send pages without an end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypedDict, TypeVar

from sidelight.errors import CloudError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_PAGES: Final = 20_000  # of one listing; a page has at least 20 items with most calls


class NextPage(TypedDict, total=False):
    """The token of the page to ask for; nothing for the first one."""

    NextToken: str


class Page(Protocol):
    """An answer that may name the token of the next page."""

    def get(self, key: str, /) -> object:
        """Return a member, None where it is missing."""


P = TypeVar("P", bound=Page)


def pages(
    call: Callable[[NextPage], P],
    where: str,
    *,
    member: str = "NextToken",
    most: int = MOST_PAGES,
) -> Iterator[P]:
    """Yield the answers of a listing; another page may follow an empty one.

    `member` is the name of the answer's member that has the next page's token. Raises CloudError
    for a token that repeats, and beyond `most` pages.
    """
    following: NextPage = {}
    for _page in range(most):
        answer = call(following)
        yield answer
        token = answer.get(member)
        if not token:
            return
        if token == following.get("NextToken"):
            raise CloudError("AWS repeats the token of a page", where=where)
        following = {"NextToken": str(token)}
    raise CloudError(f"more than {most} pages", where=where)
