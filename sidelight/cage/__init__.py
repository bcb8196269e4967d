"""Reading disks in a cage.

The owner of a scanned machine wrote every byte of its disks. The code that takes these bytes apart
(partition tables, filesystems, package databases, archives) runs in a process that has nothing
worth stealing and can do nothing but compute and talk to its parent:

    worker, or `sidelight scan`            zygote                     reader
    credentials, network, store   ──fork+exec──▶ readers imported ──fork──▶ sealed, one machine
    BlockServer  ◀──────────────────── one socket ───────────────────▶ RemoteSource, scan.inspect

- The zygote (`zygote`) is a new program with an empty environment: nothing of the worker's memory
  is in it. It imports the readers once, and forks one process a machine.
- The reader (`caged_reader`) seals itself before it gets a byte of a disk (`seal`): one open file
  descriptor, no user, limits on memory, CPU, processes and files, `no_new_privs`, Landlock,
  seccomp. A kernel that lacks one of the last two is reported once in the log, and refused where
  it is required; `protections` asks the kernel before.
- Blocks (`remote_source`, `block_server`): the reader asks, the parent reads from AWS or a file in
  the thread of the scan. Hints for prefetching cross as they are, so that rounds of calls stay as
  few. Errors of AWS arrive as the same classes (`source_errors`).
- The inventory (`inventory_records`) comes as typed, bounded records, never as pickles.
- The parent bounds frames, offsets, counts and time (`block_server`). A reader that is stopped or
  dies costs its machine a CageError (`caged_reading`), which a fleet records as any other failure.

Not in the cage: matching, advisories, the store; the commands `ls`, `cat` and `tree`, and the
second-opinion readers (`--reader reference`), which a person starts on a disk of their choice.
docs/threat-model.md has what is held against whom. Costs: `benchmarks/caged_reading.py`.
"""

from sidelight.cage.caged_reading import CagedReading, reader_cpu_seconds, report_missing
from sidelight.cage.protections import can_seal, missing_protections

__all__ = [
    "CagedReading", "can_seal", "missing_protections", "reader_cpu_seconds", "report_missing",
]  # fmt: skip
