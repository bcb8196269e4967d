"""The evaluation of a fleet's networks: collected, evaluated, stored as findings, covered."""
