"""Where package managers put what they installed.

A lock file in there lists what a package's authors worked with, and not what is on the machine: the
package's own dependencies were installed beside it, and are found there.
"""

from __future__ import annotations

import re
from typing import Final

_INSTALLED: Final = re.compile(
    r"(?:^|/)(?:node_modules|site-packages|dist-packages|pkg/mod|\.cargo/registry/src"
    r"|gems/[^/]+-[0-9][^/]*|vendor/[^/]+/[^/]+(?=/composer\.lock))/"
)


def is_project(path: str) -> bool:
    """Whether a lock file at `path` is a project's own, and of no installed package."""
    return _INSTALLED.search(path) is None
