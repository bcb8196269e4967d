"""Write the JSON Schema of every document: `python -m sidelight.documents DIRECTORY`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from sidelight.documents.catalogue import DOCUMENTS
from sidelight.documents.json_schema import schema_of


def texts() -> dict[str, str]:
    """Return the file names and contents of all schemas."""
    return {
        f"{name}.schema.json": json.dumps(schema_of(entry.kind, name, entry.source), indent=2)
        + "\n"
        for name, entry in DOCUMENTS.items()
    }


if __name__ == "__main__":
    for name, text in texts().items():
        (Path(sys.argv[1]) / name).write_text(text)
