"""Download advisory feeds from their publishers into a directory that `advisories build` reads.

fetch(sources, into)   bring a directory of sources up to date: the only HTTP other than AWS's
SOURCES                the known sources, each with its address, format, licence and checksum
"""

from __future__ import annotations

from sidelight.download.fetch import FetchOutcome, Progress, chosen, fetch, known_size
from sidelight.download.sources import SOURCES, Source

__all__ = ["SOURCES", "FetchOutcome", "Progress", "Source", "chosen", "fetch", "known_size"]
