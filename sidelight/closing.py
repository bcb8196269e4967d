"""The base of what is closed at the end of a `with` block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self


class Closing(ABC):
    """Something that `close` ends: usable as a context manager."""

    @abstractmethod
    def close(self) -> None:
        """Release what it holds. Closing it again does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
