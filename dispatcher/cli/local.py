"""`sidelight local`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dispatcher.cli.finite_range import FiniteRange


@click.command()
@click.option("--directory", type=click.Path(file_okay=False, path_type=Path),
              default=Path(".sidelight-local"), show_default=True,
              help="Directory for volumes and snapshots.")  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True,
              help="Address to bind. There is no authentication; keep it on loopback.")  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65535), default=4566, show_default=True,
              help="Port to bind; 0: any free one.")  # fmt: skip
@click.option("--image", "images", multiple=True, type=click.Path(exists=True, path_type=Path),
              help="Start an instance with this disk image. Repeatable.")  # fmt: skip
@click.option("--kind", is_flag=True,
              help="Without AWS's limits and lags: snapshots are completed and visible at once, and"
              " nothing is throttled. For a quick look.")  # fmt: skip
@click.option("--recorded", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Use the lags and error texts of this recording of `sidelight probe`.",
              )  # fmt: skip
@click.option("--lag-scale", type=FiniteRange(0), default=1, show_default=True,
              help="Multiply the lags of AWS, in seconds, by this.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True,
              help="Seed of the lags and throttles.")  # fmt: skip
@click.option("--snapshot-seconds", type=FiniteRange(0),
              help="Seconds until a snapshot is completed.  [default: 60; with --kind: 0]",
              )  # fmt: skip
@click.option("--latency", type=FiniteRange(0), default=0, show_default=True,
              help="Seconds added to every call.")  # fmt: skip
def up(
    directory: Path,
    images: tuple[Path, ...],
    *,
    kind: bool,
    recorded: Path | None,
    lag_scale: float,
    **options: Any,
) -> None:
    """Serve a local AWS on loopback until interrupted.

    It answers EC2, EBS direct, STS, KMS, SSM, Organizations and ELB calls, with AWS's limits and
    lags unless --kind is given. The environment that reaches it is printed as shell lines. Needs
    the extra `local`.
    """
    from sidelight.localcloud.conditions import KIND, STRICT
    from sidelight.localcloud.server import run

    conditions = KIND if kind else STRICT
    if recorded is not None:
        from sidelight.localcloud.recorded import conditions_of

        conditions = conditions_of(recorded, conditions)
    run(
        directory,
        conditions=conditions.scaled(lag_scale),
        machines=[{"name": image.stem, "images": [str(image.resolve())]} for image in images],
        **options,
    )
