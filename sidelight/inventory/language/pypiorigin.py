"""Where Python distributions come from: a lock file's sources, an installed one's direct URL.

Indexes other than PyPI that carry public projects' own builds are public too: PyTorch's wheels are
PyPI's torch built for other processors. A wheel installed from a local file is one that was fetched
or built before (`pip wheel`), and nothing says that it is another project: it is matched.
Source: the "recording the direct URL origin" specification (PEP 610), PEP 751.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sidelight.errors import FormatError
from sidelight.inventory.language import origin
from sidelight.inventory.language.public_registries import PYPI
from sidelight.inventory.language.safe_parsers import mapping, parse_json
from sidelight.json_texts import text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sidelight.inventory.protocol import WantedFile

_BUILDERS: Final = frozenset((b"conda", b"spack", b"guix", b"nix"))


class Indexes:
    """The indexes of one lock file, which it takes all together."""

    def __init__(self, drawn: Iterable[origin.Drawn]) -> None:
        """`drawn`: each package with its index' host, empty where it has none."""
        self._own = origin.other_registries(drawn, PYPI)

    def of(self, url: str) -> origin.Origin:
        """The origin that is an index."""
        return origin.registry(url) if origin.host(url) in self._own else origin.PUBLIC


def archive(url: str) -> origin.Origin:
    """The origin that is one file at an address."""
    if "://" not in url or url.startswith("file:"):
        return origin.local(url)
    return origin.PUBLIC if origin.host(url) in PYPI else origin.download(url)


def installed(file: WantedFile) -> origin.Origin:
    """The origin of an installed distribution, by the direct_url.json beside its metadata."""
    try:
        data = file.sibling("direct_url.json", 1 << 16)
        record = None if data is None else mapping(parse_json(data), "direct_url.json")
        installer = file.sibling("INSTALLER", 1 << 12) if record else None
        return _direct(record, installer or b"") if record else origin.PUBLIC
    except FormatError:
        return origin.PUBLIC  # an unreadable record says nothing of the origin


def _direct(record: dict[str, object], installer: bytes) -> origin.Origin:
    url = text(record.get("url"))
    vcs = mapping(record.get("vcs_info"), "vcs_info")
    if vcs:
        return origin.git(url, text(vcs.get("commit_id")))
    if "dir_info" in record:
        # A distribution's builder unpacks the public source and installs that directory.
        built = installer.strip().lower() in _BUILDERS
        return origin.PUBLIC if built else origin.local(url)
    return origin.PUBLIC if url.startswith("file:") else archive(url)
