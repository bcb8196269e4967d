"""The packets that rules permit, as sets: security groups, network ACLs, firewall policies."""
