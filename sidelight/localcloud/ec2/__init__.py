"""EC2's calls that the local cloud answers itself, in front of moto's own."""
