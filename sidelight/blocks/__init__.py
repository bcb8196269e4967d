"""Sources of bytes: image files, snapshots' blocks, and views on them."""

from sidelight.blocks.cache import BlockCache, BlockFetcher, BlockPool
from sidelight.blocks.image import ImageFile
from sidelight.blocks.read_order import Extent, read_in_physical_order
from sidelight.blocks.source import BlockSource
from sidelight.blocks.views import OverlaySource, SliceSource

__all__ = [
    "BlockCache",
    "BlockFetcher",
    "BlockPool",
    "BlockSource",
    "Extent",
    "ImageFile",
    "OverlaySource",
    "SliceSource",
    "read_in_physical_order",
]
