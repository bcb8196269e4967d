"""Advisory feeds from their publishers into a directory that `advisories build` reads.

fetch(sources, into)   bring a directory of sources up to date: the only HTTP besides AWS's
SOURCES                which sources there are, each with its address, format, licence and checksum
"""

from __future__ import annotations

from sidelight.download.fetch import Outcome, chosen, fetch
from sidelight.download.sources import SOURCES, Source

__all__ = ["SOURCES", "Outcome", "Source", "chosen", "fetch"]
