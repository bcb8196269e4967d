"""A slow model of a VPC that moves one packet, one hop at a time: the tests' oracle.

It is written from AWS's documentation, and imports nothing of `sidelight.reachability`: it has no
sets of addresses and no graph. A packet has one source, one target and one port. Every step looks
only at the object that holds the packet now. The reply moves in the same way, back through
stateless ACLs and routes; a connection exists where the reply arrives.

Input: answers of describe calls, by the names of the files of a dump (`Vpcs`, `RouteTables`, …).
"""
