"""Settings that are a secret: the secret, or `file:PATH` of a file with it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sidelight.errors import UsageError

FILE: Final = "file:"
LIMIT: Final = 4096  # bytes of a file


def secret_of(text: str, variable: str) -> str:
    """Return the secret of a setting's text, without blanks around it; empty for an empty text.

    Raises UsageError, which names the variable, for a file that has none or cannot be read.
    """
    if not text.startswith(FILE):
        return text.strip()
    path = text.removeprefix(FILE)
    try:
        with Path(path).open("rb") as file:
            data = file.read(LIMIT + 1)
        secret = data.decode("ascii").strip()
    except OSError as error:
        raise UsageError(f"{variable} cannot be read: {error.strerror}", where=path) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{variable} is not ASCII text", where=path) from error
    if not secret or len(data) > LIMIT:
        raise UsageError(f"{variable} has 1 to {LIMIT} characters", where=path)
    return secret
