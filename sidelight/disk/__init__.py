"""Partition tables and logical volumes."""

from sidelight.disk.device_names import Attachment
from sidelight.disk.volume_slice import VolumeSlice
from sidelight.disk.volumes import volumes

__all__ = ["Attachment", "VolumeSlice", "volumes"]
