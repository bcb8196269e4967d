"""Compare the network model with the packet simulator in many random networks.

    python benchmarks/compare_networks.py [--first SEED] [--count N] [--questions N] [--kind KIND]

Each network is drawn from its seed: of every feature, or (`blocked`) with VPC Block Public Access
too, or (`peered`) of two accounts with peered VPCs, or (`hub`) with a transit gateway that sends
everything through one VPC, or (`gateways`) with two that are peered. Questions are answered by
both, and of every tenth network the findings are compared with the ports at which the simulator's
packets arrive.

A line a thousand networks: the seeds, questions, open ports, differences, CPU seconds. Exit status
1 if any differ.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sidelight.reachability import Answers, Network
from tests.reachability.comparison import differences, network_of
from tests.reachability.found_ports import found_ports, walked_ports
from tests.reachability.random_networks.accounts import by_account, draw_blocked, draw_peered
from tests.reachability.random_networks.hubs import draw_gateways, draw_hub
from tests.reachability.random_networks.network import draw_network

PIECE = 1000  # networks a line
KINDS = {
    "all": draw_network,
    "blocked": draw_blocked,
    "gateways": draw_gateways,
    "hub": draw_hub,
    "peered": draw_peered,
}


def model_of(answers: dict[str, list[Any]], kind: str) -> Network:
    """Return the model's network, of two accounts where they are drawn."""
    return (
        Network.from_answers(Answers(by_account(answers)))
        if kind == "peered"
        else network_of(answers)
    )


def compare(first: int, count: int, questions: int, findings_every: int, kind: str) -> int:
    """Compare networks from a seed on; return the number of differences."""
    total = 0
    for start in range(first, first + count, PIECE):
        began = time.process_time()
        seeds = range(start, min(start + PIECE, first + count))
        opened: Counter[str] = Counter()
        differing = 0
        for seed in seeds:
            answers = KINDS[kind](Random(seed))  # noqa: S311 - networks, not secrets
            model = model_of(answers, kind)
            for found in differences(answers, Random(seed), questions, model):  # noqa: S311
                differing += 1
                sys.stdout.write(f"seed {seed}: {found}\n")
            if seed % findings_every == 0:
                walked = walked_ports(answers)
                opened.update(port.edge for port in walked)
                for port in sorted(walked ^ found_ports(answers, model)):
                    differing += 1
                    sys.stdout.write(f"seed {seed}: findings differ: {port}\n")
        ports = ", ".join(f"{edge} {number}" for edge, number in sorted(opened.items()))
        spent = time.process_time() - began
        sys.stdout.write(
            f"seeds {seeds[0]}-{seeds[-1]}: up to {questions} questions each; open ports of the "
            f"compared findings: {ports or 'none'}; {differing} differences; {spent:.0f} CPU s\n"
        )
        sys.stdout.flush()
        total += differing
    return total


def main() -> int:
    """Parse the command line and compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--first", type=int, default=1000, metavar="SEED")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--questions", type=int, default=15)
    parser.add_argument("--findings-every", type=int, default=10, metavar="N")
    parser.add_argument("--kind", choices=sorted(KINDS), default="all")
    options = parser.parse_args()
    found = compare(
        options.first, options.count, options.questions, options.findings_every, options.kind
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
