"""The language packages of a machine, of the files that its collector sent (deep inspection)."""
