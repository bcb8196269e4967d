"""A pure model of networks on AWS: describe answers in, paths and findings out.

`Network.from_answers` makes it of `Answers`, which `sidelight.reachability.answers.dump.load_dump`
reads from a folder. docs/reachability.md has what it models, and what it does not.
"""

from sidelight.reachability.answers.answers import Answers
from sidelight.reachability.network import Network
from sidelight.reachability.results import (
    EdgeKind,
    Explanation,
    PathComponent,
    ReachabilityFinding,
    ReachabilityVerdict,
    Stop,
)

__all__ = [
    "Answers",
    "EdgeKind",
    "Explanation",
    "Network",
    "PathComponent",
    "ReachabilityFinding",
    "ReachabilityVerdict",
    "Stop",
]
