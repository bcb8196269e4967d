"""Partition tables and logical volumes."""

from sidelight.disk.region import Region
from sidelight.disk.volumes import volumes

__all__ = ["Region", "volumes"]
