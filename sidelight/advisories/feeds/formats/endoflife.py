"""Last days of operating systems: endoflife.date's API (version 1), and a custom file.

The API's answer is of one product or of all; products other than known operating systems are left
out. A custom file is `{"lastDays": {"Debian:12": "2028-06-30"}, "source": "…"}`, by the database's
names of ecosystems (`sidelight advisories info` lists them). It outranks any feed, so that an
extended contract, or a date that the vendor moved, counts.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from sidelight.advisories.end_of_life import LastDay
from sidelight.advisories.feeds.formats.shape import items, mapping, text
from sidelight.errors import DamagedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_OWN, _FEED, _SECOND = range(3)
# The ecosystem's prefix, the field with the end of free updates for all users, and the rank.
_PRODUCTS = {
    "debian": ("Debian:", "eoesFrom", _FEED),
    "ubuntu": ("Ubuntu:", "eolFrom", _FEED),
    "rhel": ("Red Hat:", "eolFrom", _FEED),
    "centos": ("centos:", "eolFrom", _FEED),
    "centos-stream": ("centos:", "eolFrom", _SECOND),  # same names; CentOS itself goes first
    "almalinux": ("AlmaLinux:", "eolFrom", _FEED),
    "rocky-linux": ("Rocky Linux:", "eolFrom", _FEED),
    "oracle-linux": ("Oracle Linux:", "eolFrom", _FEED),
    "amazon-linux": ("Amazon Linux:", "eolFrom", _FEED),
    "sles": ("SUSE:", "eolFrom", _FEED),
    "suse-linux-micro": ("SUSE Micro:", "eolFrom", _FEED),
    "opensuse": ("openSUSE:Leap ", "eolFrom", _FEED),
    "alpine-linux": ("Alpine:v", "eolFrom", _FEED),
    "fedora": ("Fedora:", "eolFrom", _FEED),
    "windows-server": ("windows-server:", "eolFrom", _FEED),
    "macos": ("macos:", "eolFrom", _FEED),
}


def recognises(record: Mapping[str, object]) -> bool:
    """Return whether a JSON object is an answer of the API or a custom file."""
    return "lastDays" in record or {"schema_version", "result"} <= record.keys()


def parse(record: Mapping[str, object]) -> Iterator[LastDay]:
    """Yield one day per release. Raises DamagedError for another shape, or an invalid day."""
    if "lastDays" in record:
        source = text(record, "source") or "a file of one's own"
        for name, day in mapping(record, "lastDays").items():
            yield LastDay(name, _day(day, name), source, _OWN)
        return
    is_one = isinstance(record.get("result"), dict)
    for product in [mapping(record, "result")] if is_one else items(record, "result"):
        known = _PRODUCTS.get(text(product, "name"))
        if known is None:
            continue
        prefix, field, rank = known
        for release in items(product, "releases"):
            name = prefix + text(release, "name")
            if prefix == "windows-server:":  # `2012-r2`, where the system itself says `2012 R2`
                name = prefix + text(release, "name").replace("-", " ").upper()
            day = release.get(field)
            if day is not None:
                yield LastDay(name, _day(day, name), "endoflife.date", rank)


def _day(value: object, name: str) -> str:
    try:
        return date.fromisoformat(value).isoformat()  # type: ignore[arg-type]  # a TypeError then
    except (TypeError, ValueError) as error:
        raise DamagedError(f"{value!r:.40} is not a day, at {name!r:.40}") from error
