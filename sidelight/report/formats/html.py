"""A page to send on: one machine's findings in one file, without script.

Its policy forbids everything but its own style, and each text of a disk or feed is escaped.
"""

from __future__ import annotations

from collections import Counter
from html import escape
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Final

from sidelight import __version__
from sidelight.model import Severity, Status
from sidelight.report.escape import printable
from sidelight.report.formats.scanned_machine import (
    FleetReading,
    links_of,
    network_sentence,
    problem_lines,
    remedy_of,
    skipped_lines,
    suppression_of,
    title_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TextIO

    from sidelight.model import Finding
    from sidelight.report.formats.scanned_machine import ScannedMachine

# Each severity has its name and its place besides its colour.
_COLOURS: Final = {
    Severity.CRITICAL: "#8f1239",
    Severity.HIGH: "#c2410c",
    Severity.MEDIUM: "#a16207",
    Severity.LOW: "#1d4ed8",
    Severity.INFORMATIONAL: "#475569",
    Severity.UNTRIAGED: "#6b7280",
}
_STATES: Final = {
    Status.COMPLETE: "Everything was read.",
    Status.PARTIAL: "Only a part was read: what is missing is under Problems.",
    Status.FAILED: "Nothing could be read. No finding does not mean no vulnerability.",
}
_STYLE: Final = (
    ":root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}"
    "body{max-width:80rem;margin:2rem auto;padding:0 1rem}"
    "h1,td,li{overflow-wrap:anywhere}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;vertical-align:top;padding:.4rem .6rem;border-bottom:1px solid #8886}"
    "td:nth-child(3),td:nth-child(5){min-width:11rem}td:nth-child(4){min-width:9rem}"
    "thead th{position:sticky;top:0;background:Canvas}"
    ".s{color:#fff;border-radius:.3rem;padding:.1rem .5rem;white-space:nowrap}"
    ".w{border-left:.3rem solid #c2410c;padding-left:.8rem}"
    "@media print{thead th{position:static}}"
    "@media(max-width:45rem){thead{display:none}tr,td{display:block;border:0}"
    "tr{border-bottom:1px solid #8886;padding:.6rem 0}td{padding:.1rem 0}"
    "td:nth-child(4)::before{content:'Fixed in: '}}"
)
_HEAD: Final = (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
)


def write_html(machine: ScannedMachine, file: TextIO) -> None:
    """Write the page of one machine."""
    for part in _parts(machine):
        file.write(part)
        file.write("\n")


def write_fleet_html(machines: Iterable[ScannedMachine], file: TextIO) -> None:
    """Write a page with a part for each machine, below the sum of all.

    The parts wait in a temporary file: one machine is in memory at a time.
    """
    counts: Counter[Severity] = Counter()
    reading = FleetReading()
    with TemporaryFile("w+", encoding="utf-8", errors="backslashreplace", newline="") as parts:
        for machine in reading.counted(machines):
            counts.update(finding.severity for finding in machine.findings)
            counts.update(finding.severity for finding in machine.network)
            parts.writelines(f"{part}\n" for part in _machine(machine))
        file.write(f"{_HEAD}<title>Findings of the fleet</title><style>{_STYLE}</style></head>\n")
        file.write("<body><h1>Findings of the fleet</h1>\n")
        warns = "" if reading.is_whole else ' class="w"'
        file.write(f"<p{warns}>{reading.text(',')}. By Sidelight {_text(__version__)}.</p>\n")
        file.writelines(f"{part}\n" for part in _chart(counts))
        parts.seek(0)
        copyfileobj(parts, file)
    file.write("</body></html>\n")


def _machine(machine: ScannedMachine) -> Iterator[str]:
    """Yield the part of one machine of a fleet."""
    inventory = machine.inventory
    place = _text(f"{machine.account} {machine.region}")
    yield f"<h2>{_text(machine.name)}</h2>"
    system = _text(inventory.os.pretty_name) or "unknown operating system"
    yield f"<p>{place}: {system}, {len(inventory.packages):,} packages.</p>"
    warns = "" if inventory.status is Status.COMPLETE else ' class="w"'
    yield f"<p{warns}>{_STATES[inventory.status]}</p>"
    yield from (f'<p class="w">{escape(line)}</p>' for line in skipped_lines(machine))
    yield from _table(machine, "h3")
    yield from _network(machine)
    yield from _suppressed(machine, "h3")
    yield from _problems(machine, "h3")


def _network(machine: ScannedMachine) -> Iterator[str]:
    if machine.network:
        yield "<h3>Reachable ports</h3><ul>"
        for item in machine.network:
            severity = item.severity.value.capitalize()
            yield f"<li>{severity}: {escape(network_sentence(item))}</li>"
        yield "</ul>"


def _parts(machine: ScannedMachine) -> Iterator[str]:
    inventory, name = machine.inventory, _text(machine.name)
    yield f"{_HEAD}<title>Findings of {name}</title><style>{_STYLE}</style></head><body>"
    yield f"<h1>Findings of {name}</h1>"
    at = f"{machine.at:%Y-%m-%d %H:%M} UTC"
    system = _text(inventory.os.pretty_name) or "unknown operating system"
    packages, by = len(inventory.packages), f"Sidelight {_text(machine.version)}"
    yield f"<p>{system}, {packages:,} packages, scanned {at} by {by}.</p>"
    warns = "" if inventory.status is Status.COMPLETE else ' class="w"'
    yield f"<p{warns}>{_STATES[inventory.status]}</p>"
    yield from (f'<p class="w">{escape(line)}</p>' for line in skipped_lines(machine))
    yield from _chart(Counter(finding.severity for finding in machine.findings))
    yield from _table(machine, "h2")
    yield from _suppressed(machine, "h2")
    yield from _problems(machine, "h2")
    yield "</body></html>"


def _chart(counts: Counter[Severity]) -> Iterator[str]:
    """Yield a bar for each severity, as long as its share of the largest."""
    most = max(counts.values(), default=1)
    rows = []
    for row, (severity, colour) in enumerate(_COLOURS.items()):
        width = round(400 * counts[severity] / most, 1)
        label = severity.value.capitalize()
        rows.append(
            f'<text x="0" y="{row * 26 + 17}" fill="currentColor">{label}</text>'
            f'<rect x="120" y="{row * 26 + 3}" width="{width}" height="20" rx="3" fill="{colour}"/>'
            f'<text x="{128 + width}" y="{row * 26 + 17}" fill="currentColor">'
            f"{counts[severity]:,}</text>"
        )
    total = ", ".join(f"{counts[one]} {one.value.lower()}" for one in _COLOURS)
    height = len(_COLOURS) * 26
    yield (
        f'<svg role="img" aria-label="{total}" viewBox="0 0 620 {height}" width="620" '
        f'style="max-width:100%" font-size="14">{"".join(rows)}</svg>'
    )


def _table(machine: ScannedMachine, heading: str) -> Iterator[str]:
    if not machine.findings:
        return
    yield (
        f"<{heading}>Findings</{heading}><table><thead><tr><th>Severity</th><th>Vulnerability</th>"
        "<th>Package</th><th>Fixed in</th><th>What to do</th></tr></thead><tbody>"
    )
    for finding in machine.findings:
        yield _row(finding)
    yield "</tbody></table>"


def _row(finding: Finding) -> str:
    package = finding.package
    name = _text(finding.vulnerability)
    links = links_of(finding, 1)
    if links:
        name = f'<a rel="noreferrer" href="{escape(links[0])}">{name}</a>'
    known = "<br><strong>Known to be exploited</strong>" if finding.exploit_available else ""
    colour, severity = _COLOURS[finding.severity], finding.severity.value.capitalize()
    score = "" if finding.cvss_score is None else f" {finding.cvss_score:.1f}"
    cells = (
        f'<span class="s" style="background:{colour}">{severity}{score}</span>',
        f"{name}{known}<br>{_text(title_of(finding))}",
        f"{_text(package.name)} {_text(package.version)}<br><small>{_text(package.path)}</small>",
        _text(finding.fixed_version) or "no fix is known",
        _text(remedy_of(finding)),
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _suppressed(machine: ScannedMachine, heading: str) -> Iterator[str]:
    if machine.suppressed:
        yield f"<{heading}>Suppressed findings</{heading}><ul>"
        for item in machine.suppressed:
            package = item.finding.package
            what = f"{item.finding.vulnerability} {package.name} {package.version}"
            yield f"<li>{_text(what)}: {escape(suppression_of(item))}</li>"
        yield "</ul>"


def _problems(machine: ScannedMachine, heading: str) -> Iterator[str]:
    lines = problem_lines(machine)
    if lines:
        yield f"<{heading}>Problems</{heading}>"
        yield "<p>What could not be read, and may hide findings.</p><ul>"
        yield from (f"<li>{escape(line)}</li>" for line in lines)
        yield "</ul>"


def _text(text: str) -> str:
    return escape(printable(text))
