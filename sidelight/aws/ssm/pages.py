"""Pages of SSM's listings, bounded, with its errors as Sidelight's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sidelight.aws.faults import translated
from sidelight.errors import CloudError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Pages of one listing. An account and Region has at most some 100,000 managed nodes, 50 a page.
MOST_PAGES: Final = 4_000


def pages(call: Callable[..., Any], where: str, **request: Any) -> Iterator[dict[str, Any]]:
    """Yield the answers of a listing. Raises AccessDeniedError, CloudError.

    A token that repeats, or more than MOST_PAGES pages, is a CloudError: neither ends by itself.
    """
    token = ""
    for _page in range(MOST_PAGES):
        with translated(where):
            answer = call(**request)
        yield answer
        newer = answer.get("NextToken") or ""
        if not newer:
            return
        if newer == token:
            raise CloudError("AWS repeats the token of a page", where=where)
        token = request["NextToken"] = newer
    raise CloudError(f"more than {MOST_PAGES} pages", where=where)
