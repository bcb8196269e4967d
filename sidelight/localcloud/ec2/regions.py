"""DescribeRegions, and the Regions that an account has to enable."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

from moto.core.responses import ActionResult
from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend
from moto.utilities.utils import get_partition

from sidelight.localcloud.ec2.base import Ec2Calls

if TYPE_CHECKING:
    from sidelight.localcloud.conditions import Conditions

OPTED_IN, NOT_OPTED_IN = "opted-in", "not-opted-in"


def opt_in_status(region: str, conditions: Conditions) -> str:
    """As DescribeRegions has it, for all accounts; empty where it is not looked at."""
    if not conditions.opt_in_regions:
        return ""
    known = {one.name: one.opt_in_status for one in RegionsAndZonesBackend.regions}
    status = str(known.get(region, ""))
    return OPTED_IN if status == NOT_OPTED_IN and region in conditions.opted_in else status


class RegionCalls(Ec2Calls):
    """Calls about Regions."""

    def describe_regions(self) -> ActionResult:
        """DescribeRegions: those enabled, or with AllRegions all, of the caller's partition."""
        self.error_on_dryrun()
        every = self._get_bool_param("AllRegions", False)
        regions = map(copy, self.ec2_backend.describe_regions(self._get_param("RegionNames", [])))
        found = []
        for region in regions:
            status = opt_in_status(region.name, self.shelf.conditions)
            region.opt_in_status = status or region.opt_in_status
            here = get_partition(region.name) == self.partition
            if here and (every or region.opt_in_status != NOT_OPTED_IN):
                found.append(region)
        return ActionResult({"Regions": found})
