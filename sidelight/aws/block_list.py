"""A snapshot's list of blocks: their numbers and tokens, in memory and serialized for the cache."""

from __future__ import annotations

import json
import sys
import threading
from array import array
from bisect import bisect_left, bisect_right
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

NUMBER = "Q"


@dataclass(frozen=True, slots=True)
class Shape:
    """A listing's properties besides its blocks: sizes in bytes, `expires` in epoch seconds."""

    size: int
    block_size: int
    expires: float


# Beyond any block of a volume: where the list of a whole snapshot ends.
END: Final = 1 << 62


class _Page:
    """All blocks from `start` to before `end`: their numbers, and their tokens in one run."""

    __slots__ = ("end", "ends", "indices", "start", "tokens")

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self.indices = array(NUMBER)
        self.ends = array(NUMBER)
        self.tokens = bytearray()

    def add(self, index: int, token: str) -> None:
        self.indices.append(index)
        self.tokens += token.encode()
        self.ends.append(len(self.tokens))

    def position(self, index: int) -> int:
        position = bisect_left(self.indices, index)
        is_listed = position < len(self.indices) and self.indices[position] == index
        return position if is_listed else -1

    def token(self, position: int) -> str:
        begin = self.ends[position - 1] if position else 0
        return self.tokens[begin : self.ends[position]].decode()


class BlockList:
    """Block numbers with their tokens, some 80 bytes a block, of the parts that were listed.

    A full volume of 1 TiB has two million blocks, and a scan wants a few hundred of them: so only
    the pages are read that these lie on. Whether a block was written is known where `find` says so.
    Safe for several threads.
    """

    def __init__(self) -> None:
        # Replaced as a whole, so that readers need no lock.
        self._known: tuple[list[int], list[_Page]] = [], []
        self._renewed: dict[int, str] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return sum(len(page.indices) for page in self._known[1])

    def add(self, start: int, blocks: Iterable[tuple[int, str]], end: int = END) -> None:
        """Add the list of all blocks from `start` to before `end`, in their order.

        Known block numbers get their new token. What lies behind another page is left out.
        """
        with self._lock:
            starts, pages = self._known
            at = bisect_right(starts, start)
            begin = max(start, pages[at - 1].end) if at else start
            stop = min(end, starts[at]) if at < len(starts) else end
            page = _Page(begin, stop)
            for index, token in blocks:
                if begin <= index < stop:
                    page.add(index, token)
                elif (self.find(index) or 0) >= 0:
                    self._renewed[index] = token
            if begin < stop:
                self._known = (
                    [*starts[:at], begin, *starts[at:]],
                    [*pages[:at], page, *pages[at:]],
                )

    @property
    def is_complete(self) -> bool:
        """Whether of every block it is known if it was written."""
        known = 0
        for page in self._known[1]:
            if page.start != known:
                return False
            known = page.end
        return known == END

    def find(self, index: int) -> int | None:
        """Return a block's position on its page, -1 for one that was never written.

        None where that is not known: its page was not listed.
        """
        page = self._page(index)
        return None if page is None else page.position(index)

    def token(self, index: int) -> str:
        """Return the token of a listed block. Raises KeyError for another."""
        renewed = self._renewed.get(index)
        if renewed is not None:
            return renewed
        page = self._page(index)
        if page is None or (position := page.position(index)) < 0:
            raise KeyError(index)
        return page.token(position)

    def _page(self, index: int) -> _Page | None:
        starts, pages = self._known
        at = bisect_right(starts, index) - 1
        return pages[at] if at >= 0 and index < pages[at].end else None

    def dump(self, shape: Shape) -> bytes:
        """Serialize a complete list: a line of JSON, the numbers, the tokens' ends, the tokens.

        Raises ValueError for a list of which a part is not known.
        """
        if not self.is_complete:
            raise ValueError("a part of the list is not known")
        whole = _Page(0, END)
        for page in self._known[1]:
            for position, index in enumerate(page.indices):
                whole.add(index, page.token(position))
        head = asdict(shape) | {"blocks": len(whole.indices), "order": sys.byteorder}
        line = json.dumps(head).encode() + b"\n"
        return b"".join((line, whole.indices.tobytes(), whole.ends.tobytes(), whole.tokens))

    @classmethod
    def load(cls, data: bytes) -> tuple[BlockList, Shape]:
        """Parse the output of `dump`. Raises ValueError for other data or another byte order."""
        line, _, rest = data.partition(b"\n")
        try:
            head = json.loads(line)
            shape = Shape(int(head["size"]), int(head["block_size"]), float(head["expires"]))
            count, order = int(head["blocks"]), head["order"]
        except (KeyError, TypeError) as error:
            raise ValueError("not a kept list of blocks") from error
        page = _Page(0, END)
        part = count * page.indices.itemsize
        if order != sys.byteorder or count < 0 or len(rest) < 2 * part:
            raise ValueError("not a kept list of blocks, or another machine's")
        page.indices.frombytes(rest[:part])
        page.ends.frombytes(rest[part : 2 * part])
        page.tokens += rest[2 * part :]
        if (page.ends[-1] if count else 0) != len(page.tokens):
            raise ValueError("a kept list of blocks is cut")
        blocks = cls()
        blocks._known = [0], [page]
        return blocks, shape
