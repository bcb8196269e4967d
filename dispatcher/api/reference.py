"""docs/api-reference.md, written from botocore's model and the handlers: `make docs`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from dispatcher.api.operations import HANDLERS
from dispatcher.api.protocol.service import SERVICE, Service
from sidelight.aws.service_model import service_model

if TYPE_CHECKING:
    from collections.abc import Mapping

INTRODUCTION: Final = """# Reference of the API

Written by `make docs` from botocore's model of `inspector2` and from what `sidelight serve`
answers. [api.md](api.md) has authentication, roles and limits, and
[where an answer differs](api.md#differences-from-inspector).

| role | may call |
|---|---|
| reader | operations of readers |
| operator | those of readers and operators |
| administrator | all |
"""
REFUSED: Final = """They are about CIS scans, code security, connectors and container clusters. They
answer `ValidationException` with the reason `OTHER` and a text that names the operation:
"""
_PAGED: Final = "nextToken"


def text() -> str:
    """Return the whole page."""
    model = service_model(SERVICE)
    service = Service(model)
    shapes = cast("Mapping[str, Mapping[str, Mapping[str, object]]]", model["shapes"])
    operations = cast("Mapping[str, Mapping[str, Mapping[str, str]]]", model["operations"])
    rows, others = [], []
    for name, operation in sorted(service.operations.items()):
        if name not in HANDLERS:
            others.append(name)
            continue
        shape = operations[name].get("input", {}).get("shape", "")
        members = shapes.get(shape, {}).get("members", {})
        required = cast("list[str]", shapes.get(shape, {}).get("required", []))
        shown = ", ".join(
            f"**{member}**" if member in required else member
            for member in sorted(members, key=lambda member: (member not in required, member))
            if member != _PAGED
        )
        role = operation.role.value.lower() if operation.role is not None else ""
        paged = "yes" if _PAGED in members else ""
        rows.append(
            f"| {name} | `{operation.method} {operation.path}` | {role} | {paged} | {shown} |"
        )
    head = "| operation | request | role | pages | parameters (required ones bold) |"
    return "\n".join([
        INTRODUCTION,
        f"## The {len(rows)} operations that are answered\n",
        head, "|---|---|---|---|---|", *rows, "",
        f"## The {len(others)} operations that are refused\n",
        REFUSED,
        *(f"- {name}" for name in others), "",
    ])  # fmt: skip


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(), encoding="utf-8")
