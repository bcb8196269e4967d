"""What a load run came to, and what of it is a fault."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from sidelight.store import StageTimes

STAGES = ("take", "await", "inspect", "evaluate", "delete")
# What AWS allows an account and region in a second; the settings stay below.
ALLOWED = {"ebs:GetSnapshotBlock": 1000.0, "ebs:ListSnapshotBlocks": 50.0}
SETTINGS = {"ebs:GetSnapshotBlock": 900.0, "ebs:ListSnapshotBlocks": 40.0}
# EC2's buckets hold 100 calls and are refilled at 5 or 20 a second (its page on throttling).
EC2_BUCKET = 100.0
EC2_REFILL = {"ec2:CreateSnapshots": 5.0, "ec2:DescribeSnapshots": 20.0, "ec2:DeleteSnapshot": 5.0}
MIB = 1 << 20


@dataclass(frozen=True)
class StageRun:
    """One run of a stage: seconds, and milliseconds of CPU."""

    stage: str
    seconds: float
    cpu: float
    store: float
    aws: float
    ended: float


@dataclass
class Figures:
    """Everything that was counted. CPU in seconds, `budget` in calls a second of an account."""

    instances: int
    scans: int
    states: Counter[str]
    scans_of_an_instance: int
    wall: float
    dispatcher_cpu: float
    waiting_cpu: float
    workers_cpu: float
    cloud_cpu: float
    broker_cpu: float
    log: Path
    calls: list[dict[str, Any]]
    budget: dict[str, float]
    snapshots_left: int
    orphans: int
    findings: int
    samples: list[dict[int, int]]
    cloud_pid: int
    processes: tuple[float, ...]
    recorded: list[StageTimes]
    interrupted: bool = False
    runs: list[StageRun] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Read the stages' log, which goes away with the run."""
        for line in self.log.read_text(encoding="ascii").splitlines():
            stage, *numbers = line.split()
            self.runs.append(StageRun(stage, *map(float, numbers)))

    @cached_property
    def stages_cpu(self) -> float:
        """Seconds of CPU within the stages."""
        return sum(run.cpu for run in self.runs) / 1e3

    @property
    def queue_ms(self) -> float:
        """CPU of the workers beyond the stages, a scan."""
        return 1e3 * (self.workers_cpu - self.stages_cpu) / max(1, self.scans)

    @property
    def per_hour_and_core(self) -> float:
        """Instances that a core of workers would do in an hour, by CPU."""
        return 3600 * self.scans / self.workers_cpu

    @cached_property
    def faults(self) -> list[str]:
        """What must not be."""
        found = ["interrupted"] if self.interrupted else []
        if self.states != {"DONE": self.instances}:
            found.append(f"{self.instances} instances, but scans are {dict(self.states)}")
        if self.scans_of_an_instance != 1:
            found.append(f"an instance was scanned {self.scans_of_an_instance} times")
        created = sum(c["calls"] for c in self.calls if c["operation"] == "ec2:CreateSnapshots")
        if created != self.instances:
            found.append(f"CreateSnapshots was called {created} times")
        if self.snapshots_left or self.orphans:
            found.append(f"{self.snapshots_left} snapshots left, {self.orphans} orphans")
        if not self.findings:
            found.append("no finding: nothing was matched")
        return (
            found
            + [
                f"{account}: {most} {operation} in one second, {allowed:.0f} are allowed"
                for operation, account, most, allowed in self.peaks()
                if most > allowed
            ]
            + [
                f"{call['account']}: {call['calls']} {call['operation']} in {self.wall:.0f} s"
                for call in self.calls
                if call["calls"] > EC2_BUCKET + EC2_REFILL.get(call["operation"], 1e9) * self.wall
            ]
        )

    def peaks(self) -> list[tuple[str, str, int, float]]:
        """(operation, account, most calls in a second, what is allowed at this budget)."""
        return [
            (call["operation"], call["account"], call["per_second"],
             self.allowed(call["operation"]))
            for call in self.calls
            if call["operation"] in self.budget
        ]  # fmt: skip

    def rate(self, operation: str) -> float:
        """Calls a second of the account that called most."""
        calls = [call["calls"] for call in self.calls if call["operation"] == operation]
        return float(max(calls)) / self.wall

    def allowed(self, operation: str) -> float:
        """Calls in a second that the budget allows, or for blocks AWS, beside which it has room."""
        if operation in EC2_REFILL:
            # Of a budget of 2.5 a second has 2 or 3.
            return math.ceil(self.budget[operation])
        return ALLOWED[operation] * self.budget[operation] / SETTINGS[operation]

    def of(self, stage: str) -> list[StageRun]:
        """The runs of one stage."""
        return [run for run in self.runs if run.stage == stage]

    def as_json(self) -> str:
        """For the model, and for tests."""
        scans = max(1, self.scans)
        operations = Counter[str]()
        for call in self.calls:
            operations[call["operation"]] += call["calls"]
        document = {
            "instances": self.instances,
            "scans": self.scans,
            "states": self.states,
            "faults": self.faults,
            "wall_seconds": self.wall,
            "cpu_ms_a_scan": {
                "workers": 1e3 * self.workers_cpu / scans,
                "stages": 1e3 * self.stages_cpu / scans,
                "store": sum(run.store for run in self.runs) / scans,
                "queue": self.queue_ms,
                "dispatcher": 1e3 * self.dispatcher_cpu / scans,
                "broker": 1e3 * self.broker_cpu / scans,
                "cloud": 1e3 * self.cloud_cpu / scans,
            },
            "calls_a_scan": {name: count / scans for name, count in sorted(operations.items())},
            "runs": {stage: len(self.of(stage)) for stage in STAGES},
            "per_hour_and_core": self.per_hour_and_core,
        }
        return json.dumps(document, indent=2)


def report(figures: Figures) -> str:
    """For people."""
    scans = max(1, figures.scans)
    lines = [
        "",
        f"{figures.scans} scans of {figures.instances} instances in {figures.wall:.0f} s: "
        + ", ".join(f"{count} {state}" for state, count in figures.states.items()),
        (
            f"{figures.per_hour_and_core:.0f} instances an hour a core of workers (by their CPU); "
            f"{3600 * figures.scans / figures.wall:.0f} an hour on this machine, cloud and all"
        ),
        "",
        "stage      runs   p50 s   p95 s   CPU ms   of it store   AWS calls",
        *(_stage_line(stage, figures.of(stage)) for stage in STAGES if figures.of(stage)),
        "",
        (
            "CPU ms a scan: "
            f"stages {1e3 * figures.stages_cpu / scans:.1f} "
            f"(of it the store {sum(run.store for run in figures.runs) / scans:.1f}, "
            f"AWS calls {sum(run.aws for run in figures.runs) / scans:.1f}), "
            f"queue {figures.queue_ms:.1f}, broker {1e3 * figures.broker_cpu / scans:.1f}, "
            f"dispatcher {1e3 * figures.dispatcher_cpu / scans:.1f}"
            f" (+ {1e3 * figures.waiting_cpu / scans:.1f} waiting), "
            f"the cloud's own {1e3 * figures.cloud_cpu / scans:.1f}"
        ),
        "",
        *_queue_lines(figures),
        "",
        *_recorded_lines(figures),
        "",
        *_peak_lines(figures),
        *_memory_lines(figures),
        (
            f"{figures.snapshots_left} snapshots left, {figures.orphans} orphans, at most "
            f"{figures.scans_of_an_instance} scan of an instance, {figures.findings} findings"
        ),
        *(f"FAULT: {fault}" for fault in figures.faults),
    ]
    return "\n".join(lines)


def _stage_line(stage: str, runs: list[StageRun]) -> str:
    seconds = sorted(run.seconds for run in runs)
    count = len(runs)
    return (
        f"{stage:9}{count:6}{seconds[count // 2]:8.3f}{seconds[int(count * 0.95)]:8.3f}"
        f"{sum(run.cpu for run in runs) / count:9.2f}{sum(run.store for run in runs) / count:14.2f}"
        f"{sum(run.aws for run in runs) / count:12.2f}"
    )


def _queue_lines(figures: Figures) -> list[str]:
    """Where the queue's CPU goes: of each kind of process what is not within a stage."""
    scans = max(1, figures.scans)
    waiting, main, children = figures.processes
    kinds = (
        ("the waiting worker", waiting, ("take", "await", "delete")),
        ("the computing worker's main process", main, ()),
        ("its children", children, ("inspect", "evaluate")),
    )
    tasks = {stage: len(figures.of(stage)) for stage in STAGES}
    messages = sum(tasks.values()) - tasks["evaluate"]  # which is done within an inspection's task
    lines = [
        (
            f"the queue's {figures.queue_ms:.1f} ms a scan, over {messages} tasks "
            f"({tasks['await']} of them looks):"
        )
    ]
    for name, cpu, stages in kinds:
        within = sum(run.cpu for run in figures.runs if run.stage in stages) / 1e3
        lines.append(
            f"  {name}: {1e3 * cpu / scans:.1f} ms, {1e3 * within / scans:.1f} in stages, "
            f"{1e3 * (cpu - within) / scans:.1f} beside them"
        )
    return lines


def _recorded_lines(figures: Figures) -> list[str]:
    """What the store has recorded: seconds a scan, half of them and 95% of them below."""
    return [
        "recorded   scans   took p50/p95     in the queue     at work          budgets and caps",
        *(
            f"{one.stage:9}{one.scans:7}  "
            + "  ".join(
                f"{spread.p50:7.2f}/{spread.p95:<7.2f}"
                for spread in (one.took, one.waited, one.ran, one.paced)
            )
            for one in figures.recorded
        ),
    ]


def _peak_lines(figures: Figures) -> list[str]:
    most: dict[str, tuple[int, float]] = {}
    for operation, _, peak, allowed in figures.peaks():
        most[operation] = max(most.get(operation, (0, 0.0)), (peak, allowed))
    return [
        f"{operation}: budget {figures.budget[operation]:g} a second and account; the busiest "
        f"second of any account had {peak} ({allowed:.0f} are allowed), all in all "
        f"{figures.rate(operation):.1f} a second"
        for operation, (peak, allowed) in most.items()
    ]


def _memory_lines(figures: Figures) -> list[str]:
    """The workers' memory at a quarter of the run and at its end: flat is what it should be."""
    sums = [
        sum(size for pid, size in sample.items() if pid != figures.cloud_pid) / MIB
        for sample in figures.samples
    ]
    if len(sums) < 4:
        return []
    quarters = [sums[int(len(sums) * part)] for part in (0.25, 0.5, 0.75)] + [sums[-2]]
    clouds = [sample.get(figures.cloud_pid, 0) / MIB for sample in figures.samples]
    cloud = [clouds[int(len(clouds) * part)] for part in (0.25, 0.5, 0.75)] + [clouds[-2]]
    processes = len(figures.samples[-2]) - 1
    return [
        f"memory of the {processes} worker processes at 25, 50, 75 and 100% of the run: "
        + ", ".join(f"{value:.0f}" for value in quarters)
        + " MiB; of the cloud's: "
        + ", ".join(f"{value:.0f}" for value in cloud)
    ]
