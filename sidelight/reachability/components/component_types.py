"""CloudFormation's type names of paths' components, as Inspector names them."""

from __future__ import annotations

from typing import Final

ACL: Final = "AWS::EC2::NetworkAcl"
ATTACHMENT: Final = "AWS::EC2::TransitGatewayAttachment"
BALANCER: Final = "AWS::ElasticLoadBalancingV2::LoadBalancer"
CLASSIC_BALANCER: Final = "AWS::ElasticLoadBalancing::LoadBalancer"
DIRECT_CONNECT_GATEWAY: Final = "AWS::DirectConnect::DirectConnectGateway"
EGRESS_ONLY_GATEWAY: Final = "AWS::EC2::EgressOnlyInternetGateway"
ENDPOINT_SERVICE: Final = "AWS::EC2::VPCEndpointService"
ENDPOINT: Final = "AWS::EC2::VPCEndpoint"
GROUP: Final = "AWS::EC2::SecurityGroup"
INSTANCE: Final = "AWS::EC2::Instance"
INTERFACE: Final = "AWS::EC2::NetworkInterface"
INTERNET_GATEWAY: Final = "AWS::EC2::InternetGateway"
LISTENER: Final = "AWS::ElasticLoadBalancingV2::Listener"
NAT: Final = "AWS::EC2::NatGateway"
PEERING: Final = "AWS::EC2::VPCPeeringConnection"
SUBNET: Final = "AWS::EC2::Subnet"
TABLE: Final = "AWS::EC2::RouteTable"
TARGET_GROUP: Final = "AWS::ElasticLoadBalancingV2::TargetGroup"
TRANSIT: Final = "AWS::EC2::TransitGateway"
TRANSIT_TABLE: Final = "AWS::EC2::TransitGatewayRouteTable"
VIRTUAL_GATEWAY: Final = "AWS::EC2::VPNGateway"
VIRTUAL_INTERFACE: Final = "AWS::DirectConnect::PrivateVirtualInterface"
VPC: Final = "AWS::EC2::VPC"
