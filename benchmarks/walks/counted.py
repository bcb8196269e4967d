"""An image as a snapshot's blocks: counted, with holes, and with a delay for each call.

Apart from the walks, whose imports are all readers: a benchmark of memory needs none of them.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import TYPE_CHECKING

from sidelight.blocks import ImageFile

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = 512 << 10


class Counted:
    """A BlockFetcher over an image. Every call takes `delay` seconds, as one over a network."""

    def __init__(self, image: Path, delay: float = 0) -> None:
        self._image = ImageFile(str(image))
        self._delay = delay
        self._fd = os.open(image, os.O_RDONLY)
        self.name = image.name
        self.size = self._image.size
        self.block_size = BLOCK
        self.calls: Counter[int] = Counter()

    def present(self, index: int) -> bool:
        """Whether the file has data there."""
        try:
            return os.lseek(self._fd, index * BLOCK, os.SEEK_DATA) < (index + 1) * BLOCK
        except OSError:
            return False

    def fetch(self, index: int) -> bytes:
        """One block, padded at the end of the image."""
        self.calls[index] += 1
        if self._delay:
            time.sleep(self._delay)
        offset = index * BLOCK
        return self._image.read_at(offset, min(BLOCK, self.size - offset)).ljust(BLOCK, b"\0")
