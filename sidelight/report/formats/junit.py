"""JUnit XML: a failed test case a finding, and an error for what could not be read.

Source: the schema of Jenkins' xUnit plugin, which GitLab, Azure and others take as well. A suite of
a machine without a finding has one case that passed, so that it differs from one that did not run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from sidelight.model import Status
from sidelight.report.escape import printable
from sidelight.report.formats.scanned_machine import (
    links_of,
    network_sentence,
    problem_lines,
    remedy_of,
    sentence_of,
    skipped_lines,
    suppression_of,
    title_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

    from sidelight.model import Finding, NetworkFinding, SuppressedFinding
    from sidelight.report.formats.scanned_machine import ScannedMachine

_HEAD: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'


def write_junit(machine: ScannedMachine, file: TextIO) -> None:
    """Write one suite for the machine."""
    suites = ET.Element("testsuites", name="Sidelight")
    suites.append(suite_of(machine))
    ET.indent(suites, " ")
    file.write(_HEAD)
    file.write(ET.tostring(suites, encoding="unicode") + "\n")


def write_fleet_junit(machines: Iterable[ScannedMachine], file: TextIO) -> None:
    """Write a suite for each machine, one in memory at a time."""
    file.write(f'{_HEAD}<testsuites name="Sidelight">\n')
    for machine in machines:
        suite = suite_of(machine)
        ET.indent(suite, " ")
        file.write(ET.tostring(suite, encoding="unicode") + "\n")
    file.write("</testsuites>\n")


def suite_of(machine: ScannedMachine) -> ET.Element:
    """Return the suite of one machine."""
    cases = [_case(finding) for finding in machine.findings]
    cases += [_network_case(finding) for finding in machine.network]
    skipped = [_skipped(item) for item in machine.suppressed]
    skipped += [_left_out(line) for line in skipped_lines(machine)]
    errors = [_error(line) for line in problem_lines(machine)]
    if machine.inventory.status is not Status.COMPLETE and not errors:
        errors.append(_error(f"the machine's status is {machine.inventory.status}"))
    if not cases and not errors and not machine.suppressed:
        name = f"{len(machine.inventory.packages)} packages without a finding"
        cases.append(ET.Element("testcase", classname="sidelight", name=name))
    suite = ET.Element(
        "testsuite",
        name=printable(machine.name),
        tests=str(len(cases) + len(skipped) + len(errors)),
        failures=str(len(machine.findings) + len(machine.network)),
        errors=str(len(errors)),
        skipped=str(len(skipped)),
        timestamp=machine.at.strftime("%Y-%m-%dT%H:%M:%S"),
    )
    if machine.account:
        properties = ET.SubElement(suite, "properties")
        for name, value in (("account", machine.account), ("region", machine.region)):
            ET.SubElement(properties, "property", name=name, value=printable(value))
    suite.extend([*cases, *skipped, *errors])
    return suite


def _named_case(finding: Finding) -> ET.Element:
    package = finding.package
    name = printable(f"{finding.vulnerability} {package.name} {package.version}")
    return ET.Element("testcase", classname=printable(f"{package.type}.{package.name}"), name=name)


def _case(finding: Finding) -> ET.Element:
    package, case = finding.package, _named_case(finding)
    failure = ET.SubElement(case, "failure", type=finding.severity, message=title_of(finding))
    lines = [sentence_of(finding), printable(package.path), remedy_of(finding), *links_of(finding)]
    failure.text = "\n".join(line for line in lines if line)
    return case


def _network_case(finding: NetworkFinding) -> ET.Element:
    name = printable(f"{finding.protocol} {finding.ports} {finding.edge_id}")
    case = ET.Element("testcase", classname=printable(f"network.{finding.interface}"), name=name)
    message = printable(finding.title)
    failure = ET.SubElement(case, "failure", type=finding.severity, message=message)
    failure.text = network_sentence(finding)
    return case


def _skipped(item: SuppressedFinding) -> ET.Element:
    case = _named_case(item.finding)
    ET.SubElement(case, "skipped", message=suppression_of(item))
    return case


def _left_out(what: str) -> ET.Element:
    case = ET.Element("testcase", classname="sidelight", name="all directories were read")
    ET.SubElement(case, "skipped", message=what)
    return case


def _error(what: str) -> ET.Element:
    case = ET.Element("testcase", classname="sidelight", name="the machine was read completely")
    ET.SubElement(case, "error", type="problem", message=what)
    return case
