"""A pure model of a VPC."""
