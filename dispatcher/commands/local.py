"""`sidelight local`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sidelight.errors import UsageError


@click.group()
def local() -> None:
    """A local cloud, to try Sidelight without an account."""


@local.command()
@click.option("--directory", type=click.Path(file_okay=False, path_type=Path),
              default=Path(".sidelight-local"), show_default=True,
              help="Where volumes and snapshots lie.")  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=int, default=4566, show_default=True)
@click.option("--image", "images", multiple=True, type=click.Path(exists=True, path_type=Path),
              help="Start a machine with this disk image (repeat for more machines).")  # fmt: skip
@click.option("--snapshot-seconds", type=float, default=0.0, show_default=True,
              help="How long a snapshot stays pending.")  # fmt: skip
@click.option("--latency", type=float, default=0.0, show_default=True,
              help="Seconds that every call takes longer.")  # fmt: skip
def up(directory: Path, images: tuple[Path, ...], **options: Any) -> None:
    """Serve EC2, EBS direct, STS, KMS, SSM, Organizations and ELB on loopback until interrupted."""
    try:
        from sidelight.localcloud.server import run
    except ModuleNotFoundError as error:
        raise UsageError(f"{error.name} is missing: pip install 'sidelight[local]'") from error
    run(
        directory,
        machines=[{"name": image.stem, "images": [str(image.resolve())]} for image in images],
        **options,
    )
