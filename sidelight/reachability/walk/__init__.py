"""A bundle of packets on its way: its trail, its answers, and the steps within a VPC."""
