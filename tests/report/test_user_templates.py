"""Documents by a template of the user's own: its variables, its sandbox, its errors and bounds."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from markupsafe import escape

from sidelight.errors import LimitError, UsageError
from sidelight.model import (
    Inventory,
    OperatingSystem,
    Problem,
    Severity,
    Status,
    SuppressedFinding,
    VexStatus,
)
from sidelight.report import user_templates
from sidelight.report.formats.scanned_machine import ScannedMachine
from sidelight.report.template_model import template_model
from sidelight.report.user_templates import UserTemplate, read_template
from tests.fixtures.boms import FLASK, NOW, SSL, finding
from tests.fixtures.document_schemas import conform
from tests.fixtures.network_findings import port

if TYPE_CHECKING:
    from pathlib import Path

SQUARES = (
    "{% set n = namespace(x=3) %}{% for i in range(90) %}{% set n.x = n.x * n.x %}{% endfor %}"
)
HOSTILE = "\x1b[31m<b>|=cmd\n"
MACHINE = ScannedMachine(
    "i-1",
    Inventory(
        Status.PARTIAL, OperatingSystem("debian", "12"), (SSL, FLASK), (Problem("p1", "damaged"),),
        skipped=("/opt/**: 1 directory",),
    ),
    [finding(SSL), finding(FLASK, severity=Severity.LOW)],
    NOW, "1", [SuppressedFinding(finding(SSL), VexStatus.NOT_AFFECTED, "", "why", "v.json")],
    [port(22)], "1" * 12, "eu-west-1",
)  # fmt: skip


def written(text: str, machine: ScannedMachine = MACHINE, name: str = "report.txt") -> str:
    file = io.StringIO()
    UserTemplate(text, name).write(template_model([machine], NOW), file)
    return file.getvalue()


def hostile() -> ScannedMachine:
    return replace(MACHINE, name=HOSTILE)


def test_the_variables_are_those_of_the_schema() -> None:
    document = dict(template_model([MACHINE], NOW))
    document["machines"] = list(document["machines"])  # type: ignore[call-overload] # an iterator
    conform("template-model", json.loads(json.dumps(document)))


def test_a_template_has_machines_with_their_findings() -> None:
    text = (
        "{{ version|length > 0 }} {{ created_at }}\n"
        "{% for m in machines %}"
        "{{ m.name }} {{ m.account }} {{ m.status.value }} {{ m.packages }}\n"
        "{% for f in m.findings %}{{ f.vulnerability }} {{ f.severity.value }}"
        " {{ f.package.name }}\n{% endfor %}"
        "{{ m.suppressed[0].suppression.statement }} {{ m.reachable_ports[0].ports }}"
        " {{ m.skipped[0] }} {{ m.problems[0].what }}{% endfor %}"
    )
    assert written(text).splitlines() == [
        f"True {NOW.isoformat()}", "i-1 111111111111 partial 2", "CVE-2024-5535 CRITICAL libssl3",
        "CVE-2024-5535 LOW flask", "why 22 /opt/**: 1 directory damaged",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "is_escaped"),
    [("r.html", True), ("R.HTML.j2", True), ("r.xml.jinja2", True), ("r.svg", True),
     ("r.txt", False), ("r.md.j2", False), ("@markdown", False), ("html", False)],
)  # fmt: skip
def test_html_is_escaped_by_the_file_s_ending(name: str, is_escaped: bool) -> None:
    shown = written("{% for m in machines %}{{ m.name }}{% endfor %}", hostile(), name)
    text = r"\x1b[31m<b>|=cmd\n"
    assert shown == (str(escape(text)) if is_escaped else text)


def test_filters_make_cells_and_markdown_inert() -> None:
    each = "{%% for m in machines %%}%s{%% endfor %%}"
    assert written(each % "{{ m.name|csv }}", replace(MACHINE, name='=a"b')) == '"\'=a""b"'
    shown = written(each % "{{ m.name|markdown }}", hostile())
    assert shown == r"\\x1b\[31m\<b\>\|=cmd\\n"
    assert json.loads(written(each % "{{ m.name|tojson }}", hostile())) == HOSTILE


@pytest.mark.parametrize("name", ["report.txt", "report.html"])
@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("m.name|e", r"\x1b[31m&lt;b&gt;|=cmd\n"),
        ("m.name|escape", r"\x1b[31m&lt;b&gt;|=cmd\n"),
        ("m.name|e|forceescape", r"\x1b[31m&amp;lt;b&amp;gt;|=cmd\n"),
        ("m.name|e|e", r"\x1b[31m&lt;b&gt;|=cmd\n"),
        ("'<i>%s'|safe|format(m.name)", "<i>\\x1b[31m&lt;b&gt;|=cmd\n"),
        ("m.none|e", ""),
        ("3|e", "3"),
    ],
)
def test_markup_of_a_template_is_inert(name: str, expression: str, shown: str) -> None:
    text = "{% for m in machines %}{{ " + expression + " }}{% endfor %}"
    file = io.StringIO()
    UserTemplate(text, name).write({"machines": [{"name": HOSTILE, "none": None}]}, file)
    assert file.getvalue() == shown


def test_what_is_constant_is_computed_within_the_bound_on_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(user_templates, "MAX_MEMORY", 256 << 20)
    with pytest.raises(LimitError, match="memory"):
        written("{{ 'a'|center(300000000)|length }}")


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("a\n{% for %}", "report.txt:2", "Expected an expression"),
        ("a\n\n{{ nothing }}", "report.txt:3", "'nothing' is undefined"),
        ("{% for m in machines %}\n{{ m.nme }}{% endfor %}", "report.txt:2", "has no attribute"),
        ("\n{{ 1 / 0 }}", "report.txt:2", "division by zero"),
        ("\n{{ version + 1 }}", "report.txt:2", "can only concatenate"),
        ("{% include 'x' %}", "report.txt:1", "no loader"),
        ("\n{{ version.__class__.__mro__ }}", "report.txt:2", "is unsafe"),
        ("{{ version|nofilter }}", "report.txt:1", "No filter named 'nofilter'"),
        ("\n{% for i in range(10**9) %}{% endfor %}", "report.txt:2", "Range too big"),
        ("\n{{ ''.join.__globals__ }}", "report.txt:2", "has no attribute"),
        ("\n{{ 9 ** (9 ** 9) }}", "report.txt:2", "more than 4096 bits"),
        ("\n{{ 1|round(10 ** 9, 'ceil') }}", "report.txt:2", "more than 300 digits"),
        ("\n{{ 1|round(-1000000000) }}", "report.txt:2", "more than 300 digits"),
        (f"\n{SQUARES}", "report.txt:2", "more than 4096 bits"),
        ("{{ (('f' * 9999)|int(0, 16)) // 3 }}", "report.txt:1", "more than 4096 bits"),
        ("{% macro m() %}\n{{ m() }}{% endmacro %}{{ m() }}", "report.txt:2", "recursion"),
    ],
)
def test_a_template_s_fault_is_reported_with_its_line(text: str, where: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        written(text)
    assert caught.value.where == where
    assert message in caught.value.what


def test_a_template_that_takes_too_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_templates, "MAX_CPU_SECONDS", 0.05)
    text = "\n".join(["{% for i in range(99999) %}"] * 3 + ["{% endfor %}"] * 3)
    with pytest.raises(LimitError, match=r"report.txt:\d: takes more than"):
        written(text)


def test_a_template_that_takes_too_much_memory_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_templates, "MAX_MEMORY", 64 << 20)
    text = (
        "{% set n = namespace(x='abcdefgh') %}"
        "{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}"
    )
    with pytest.raises(LimitError, match=r"report.txt:1: takes more memory"):
        written(text)


def test_a_document_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_templates, "MAX_OUTPUT", 100)
    with pytest.raises(LimitError, match="writes more than 100 characters"):
        written("{% for i in range(999) %}abc{% endfor %}")


def test_a_template_cannot_change_its_variables() -> None:
    with pytest.raises(UsageError, match="is unsafe"):
        written("{% for m in machines %}{{ m.findings.clear() }}{% endfor %}")


def test_files_that_are_no_templates_are_refused(tmp_path: Path) -> None:
    for name, data, message in (
        ("big", b"x" * (user_templates.MAX_BYTES + 1), "has more than 1 MiB"),
        ("binary", b"\xff", "is not UTF-8"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UsageError, match=message):
            read_template(str(tmp_path / name))
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_template(str(tmp_path / "absent"))
    with pytest.raises(UsageError, match="there are @markdown, @summary"):
        read_template("@nothing")


@pytest.mark.parametrize("name", user_templates.BUILT_IN)
def test_sidelight_s_own_templates_show_what_was_not_read(name: str) -> None:
    file = io.StringIO()
    read_template(f"@{name}").write(template_model([MACHINE, hostile()], NOW), file)
    shown = file.getvalue()
    assert "\x1b" not in shown
    assert "partial" in shown
    assert ("1 problems" if name == "summary" else "Not read: p1: damaged") in shown
