"""Partition tables and logical volumes."""

from sidelight.disk.names import Attachment
from sidelight.disk.region import Region
from sidelight.disk.volumes import volumes

__all__ = ["Attachment", "Region", "volumes"]
