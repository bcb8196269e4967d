"""EC2's calls for instances and what is attached to them, where moto's own differ from AWS."""

from __future__ import annotations

from copy import copy
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError, InvalidInstanceIdError

from sidelight.localcloud.ec2.base import Ec2Calls, checked
from sidelight.localcloud.moto_clock import moto_time


class InstanceCalls(Ec2Calls):
    """Calls about instances and networks."""

    def describe_instances(self) -> ActionResult:
        """DescribeInstances: those that ended more than an hour ago are not listed."""
        self._sl_forget_ended()
        return super().describe_instances()

    def start_instances(self) -> ActionResult:
        """StartInstances: an instance's launch time is that of its last start."""
        response = super().start_instances()
        now = moto_time(self.shelf.clock.now())
        for instance_id in self._get_param("InstanceIds", []):
            self.ec2_backend.get_instance(instance_id).launch_time = now
        return response

    def terminate_instances(self) -> ActionResult:
        """TerminateInstances, and when that was."""
        self._sl_forget_ended()
        response = super().terminate_instances()
        for instance_id in self._get_param("InstanceIds", []):
            self.shelf.lags.note_end(str(instance_id))
        return response

    def describe_network_interfaces(self) -> ActionResult:
        """DescribeNetworkInterfaces: as AWS, with the public address next to the private one."""
        found = self.ec2_backend.get_all_network_interfaces(
            self._get_param("NetworkInterfaceIds", []), self._filters_from_querystring()
        )
        self.error_on_dryrun()
        shown = []
        for interface in found:
            one = copy(interface)
            one.private_ip_addresses = interface.instance_private_ip_address_list
            shown.append(one)
        return ActionResult({"NetworkInterfaces": shown})

    def describe_security_group_vpc_associations(self) -> ActionResult:
        """DescribeSecurityGroupVpcAssociations: none, since moto cannot associate a group."""
        return ActionResult({"SecurityGroupVpcAssociations": []})

    def describe_transit_gateway_connects(self) -> ActionResult:
        """DescribeTransitGatewayConnects: none, since moto cannot create a Connect attachment."""
        return ActionResult({"TransitGatewayConnects": []})

    def _sl_forget_ended(self) -> None:
        ended = self.shelf.lags.forgotten()
        for reservation in self.ec2_backend.reservations.values() if ended else ():
            kept = [one for one in reservation.instances if one.id not in ended]
            reservation.instances = kept

    def _sl_instance(self, instance_id: str) -> object:
        checked(instance_id, "i")
        self._sl_forget_ended()
        for instance in self.ec2_backend.all_instances():
            if instance.id == instance_id:
                if not self.shelf.lags.launched(instance_id, self._sl_connection()):
                    break
                if instance.state not in ("running", "stopping", "stopped"):
                    raise EC2ClientError(
                        "IncorrectState", f"The instance '{instance_id}' is {instance.state}."
                    )
                return instance
        raise InvalidInstanceIdError(instance_id)

    def _sl_chosen(self, instance: Any, spec: dict[str, Any]) -> list[Any]:
        """The volumes to take. Raises where an exclusion names none, or leaves none."""
        excluded = set(spec.get("ExcludeDataVolumeIds") or [])
        mapping = {d: b.volume_id for d, b in instance.get_block_device_mapping}
        if not mapping:
            raise self._sl_refused("InvalidParameterValue", instance.id)
        root = mapping.get(instance.root_device_name)
        strangers = sorted(excluded - (set(mapping.values()) - {root}))
        if strangers:
            raise EC2ClientError(
                "InvalidParameterValue",
                f"{', '.join(strangers)} cannot be excluded: not a data volume of {instance.id}",
            )
        if spec.get("ExcludeBootVolume") and root is not None:
            excluded.add(root)
        chosen = [volume for volume in mapping.values() if volume not in excluded]
        if not chosen:
            raise EC2ClientError(
                "InvalidParameterCombination", f"No volume of {instance.id} is left to snapshot."
            )
        return [self.ec2_backend.get_volume(volume) for volume in chosen]
