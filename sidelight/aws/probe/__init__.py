"""`sidelight probe`: measure behaviour that only a real account shows, for less than a dollar."""

from sidelight.aws.probe.anonymous import Anonymous
from sidelight.aws.probe.cost import MOST_DOLLARS, Estimate, estimate
from sidelight.aws.probe.measures import Measures, measure
from sidelight.aws.probe.run import Probe, ProbeOptions, ProbeOutcome

__all__ = [
    "MOST_DOLLARS",
    "Anonymous",
    "Estimate",
    "Measures",
    "Probe",
    "ProbeOptions",
    "ProbeOutcome",
    "estimate",
    "measure",
]
