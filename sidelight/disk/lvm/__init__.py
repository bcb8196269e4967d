"""LVM2: physical volumes in, logical volumes out."""

from sidelight.disk.lvm.groups import LogicalVolume, logical_volumes

__all__ = ["LogicalVolume", "logical_volumes"]
