"""Tables: nothing is cut at any width, a pipe has one row a line, and hostile text is inert."""

from __future__ import annotations

import io
import json
import logging
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from sidelight.model import (
    FilesystemSummary,
    Finding,
    Inventory,
    OperatingSystem,
    Package,
    Problem,
    Severity,
    Status,
)
from sidelight.report import as_json, as_table, logs, output, progress, tables
from sidelight.report.escape import printable
from tests.fixtures.hostile_text import ONE_OF_EACH, TEXT, is_inert

if TYPE_CHECKING:
    from collections.abc import Callable

COLUMNS = (
    tables.Column("Severity"), tables.Column("Score", rank=2, right=True), tables.Column("Id"),
    tables.Column("Path", rank=5), tables.Column("Detail", rank=9, prose=True),
    tables.Column("Title", rank=8, prose=True, extra=True), tables.Column("URL", piped=True),
)  # fmt: skip
ROWS = [
    ["CRITICAL", "9.8", "CVE-2021-44906", "/opt/app/node_modules/minimist/package.json",
     "the inode table of group 12 is damaged and was not read", "Prototype pollution", "https://x"],
    ["LOW", "", "GHSA-67hx-6x53-jw92", "/var/lib/dpkg/status", "", "", ""],
    ["HIGH", "7.0", "i-0ac1234567890abcd", "/" + "d" * 150, "x", "y", "z"],
]  # fmt: skip


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def drawn(width: int, draw: Callable[[io.StringIO], None], monkeypatch: pytest.MonkeyPatch) -> str:
    """What a terminal of this width shows, without colours."""
    for name, value in {"COLUMNS": str(width), "NO_COLOR": "1", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    screen = Screen()
    draw(screen)
    return re.sub(r"\x1b\[[\d;]*m", "", screen.getvalue())


def table_of(rows: list[list[str]] = ROWS) -> tables.Table:
    table = tables.Table(*COLUMNS)
    for row in rows:
        table.add_row(*row)
    return table


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 132, 160, 250])
def test_no_value_is_cut_at_any_width(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    text = drawn(width, lambda screen: tables.Report(screen).table(table_of()), monkeypatch)
    for row in ROWS:
        for value in row[:4]:
            assert value in text
        for word in row[4].split():
            assert word in text
    assert "https://x" not in text


@pytest.mark.parametrize("width", [60, 80, 100, 132, 160])
def test_lines_are_within_the_width_but_for_what_must_not_be_cut(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = ROWS[:2]
    text = drawn(width, lambda screen: tables.Report(screen).table(table_of(rows)), monkeypatch)
    assert max(map(cell_len, text.splitlines())) <= width


def test_a_wide_terminal_has_a_row_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = ROWS[:2]
    text = drawn(250, lambda screen: tables.Report(screen).table(table_of(rows)), monkeypatch)
    title, rule, *lines = text.splitlines()
    assert title.split() == ["Severity", "Score", "Id", "Path", "Detail", "Title"]
    assert set(rule) == {"-"}
    assert len(lines) == len(rows)
    assert [line.index(row[2]) for line, row in zip(lines, rows, strict=True)] == [
        title.index("Id")
    ] * 2


def test_a_narrow_terminal_has_the_least_important_below(monkeypatch: pytest.MonkeyPatch) -> None:
    text = drawn(60, lambda screen: tables.Report(screen).table(table_of(ROWS[:1])), monkeypatch)
    title, _, row, *below = text.splitlines()
    assert title.split() == ["Severity", "Score", "Id"]
    assert row.split() == ["CRITICAL", "9.8", "CVE-2021-44906"]
    assert [line.strip().partition(":")[0] for line in below][:2] == ["Path", "Detail"]
    assert "Title" not in text


def test_a_column_without_text_takes_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [["LOW", "", "CVE-1", "", "", "", ""]]
    text = drawn(160, lambda screen: tables.Report(screen).table(table_of(rows)), monkeypatch)
    assert text.splitlines()[0].split() == ["Severity", "Id"]


def test_a_pipe_has_titles_and_a_row_a_line_separated_by_tabs() -> None:
    file = io.StringIO()
    report = tables.Report(file)
    report.line("head\nline")
    report.table(table_of())
    first, titles, *lines = file.getvalue().splitlines()
    assert first == "# head\\nline"
    assert titles.split("\t") == [column.title for column in COLUMNS]
    assert [line.split("\t") for line in lines] == ROWS


def test_a_long_line_is_wrapped_below_its_own_indent(monkeypatch: pytest.MonkeyPatch) -> None:
    text = drawn(20, lambda screen: tables.Report(screen).line("    " + "word " * 5), monkeypatch)
    assert [line.rstrip() for line in text.splitlines()] == [
        "    word word word", "      word word",
    ]  # fmt: skip


def test_no_other_number_of_cells_is_taken() -> None:
    with pytest.raises(ValueError, match="1 cells for 7 columns"):
        tables.Table(*COLUMNS).add_row("x")


@given(st.lists(st.lists(TEXT, min_size=7, max_size=7), max_size=4), st.integers(10, 200))
def test_hostile_cells_are_inert_and_keep_their_place(rows: list[list[str]], width: int) -> None:
    file = io.StringIO()
    tables.Report(file).table(table_of(rows))
    lines = file.getvalue().split("\n")[1:-1]
    assert [line.split("\t") for line in lines] == [list(map(printable, row)) for row in rows]
    assert is_inert(file.getvalue())
    with pytest.MonkeyPatch.context() as patch:
        text = drawn(width, lambda screen: tables.Report(screen).table(table_of(rows)), patch)
    assert is_inert(text)


@given(TEXT)
def test_printable_has_a_shape_for_every_character(text: str) -> None:
    shown = printable(text)
    assert is_inert(shown)
    assert "\n" not in shown
    assert "\t" not in shown
    shown.encode("utf-8")
    assert printable(shown) == shown


def test_printable_leaves_ordinary_text_alone() -> None:
    for text in ("libc6", "/opt/ü/日本語/файл", "naïve café", "C:\\x", "a b  c", "🦀", "e\u0301"):
        assert printable(text) == text


def test_printable_says_how_much_was_cut() -> None:
    assert printable("x" * 5000, 10) == "xxxxxxxxxx... [4990 characters more]"


def joined(text: str) -> str:
    """Text as JSON has it, in UTF-16: the two halves of a pair are one character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def hostile_machine(text: str) -> tuple[Inventory, list[Finding]]:
    package = Package(text, text, text, text, text, arch=text, layer=text)
    finding = Finding(text, Severity.HIGH, package, text, (text,), title=text, references=(text,))
    machine = Inventory(
        Status.PARTIAL,
        OperatingSystem(text, text, text, text, text),
        (package,),
        tuple(Problem(f"{text}{number}", text) for number in range(5)),
        (FilesystemSummary(text, text, text, text),),
    )
    return machine, [finding]


@given(TEXT, st.sampled_from([0, 40, 80, 160]))
def test_a_hostile_machine_is_inert_in_every_output(text: str, width: int) -> None:
    machine, findings = hostile_machine(text)
    draws: list[Callable[[io.StringIO], None]] = [
        lambda file: as_table.print_findings(text, machine, findings, file),
        lambda file: as_table.print_inventory(text, machine, file),
    ]
    for draw in draws:
        if width:
            with pytest.MonkeyPatch.context() as patch:
                shown = drawn(width, draw, patch)
        else:
            file = io.StringIO()
            draw(file)
            shown = file.getvalue()
        assert is_inert(shown)
        shown.encode("utf-8")
    for document in (as_json.scan_document(machine, findings), as_json.inventory_document(machine)):
        for written in (as_json.dumps(document), as_json.line(document)):
            assert written.isascii()
            assert is_inert(written)
            assert json.loads(written)["os"]["pretty_name"] == joined(text)


@given(TEXT)
def test_escaped_json_means_the_same(text: str) -> None:
    raw = json.dumps({text: [text]}, ensure_ascii=False)
    assert as_json.escaped(raw).isascii()
    assert json.loads(as_json.escaped(raw)) == {joined(text): [joined(text)]}


def test_findings_that_differ_by_path_are_one_row_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    packages = [Package("npm", "ws", "1", f"/opt/{n}/package.json", "pkg:npm/ws@1") for n in "abcd"]
    findings = [Finding("CVE-2026-1", Severity.HIGH, one, "2", ()) for one in packages]
    machine = Inventory(Status.COMPLETE, OperatingSystem())
    text = drawn(
        160, lambda file: as_table.print_findings("x", machine, findings, file), monkeypatch
    )
    assert text.count("CVE-2026-1 ") == 1
    assert "/opt/a/package.json +3 paths" in text
    assert "4 findings: 4 high" in text
    file = io.StringIO()
    as_table.print_findings("x", machine, findings, file)
    assert file.getvalue().count("\tCVE-2026-1\t") == 4
    assert len(as_json.scan_document(machine, findings)["findings"]) == 4


def test_why_a_scan_is_partial_is_at_the_top_and_in_the_last_line() -> None:
    machine, findings = hostile_machine("x")
    file = io.StringIO()
    as_table.print_findings("disk.img", machine, findings, file)
    lines = file.getvalue().splitlines()
    assert lines[2] == "#   Not all was read: 5 problems."
    assert lines[3] == "#     x0: x"
    assert "and 2 more" in lines[6]
    assert lines[-1] == "# 1 finding: 1 high; partial: 5 problems"
    assert sum(line == "#   x4: x" for line in lines) == 1


def test_a_limit_is_of_rows_and_the_totals_are_of_all() -> None:
    package = Package("npm", "ws", "1", "/x", "pkg:npm/ws@1")
    findings = [Finding(f"CVE-2026-{n}", Severity.LOW, package, "", ()) for n in range(5)]
    file = io.StringIO()
    machine = Inventory(Status.COMPLETE, OperatingSystem())
    as_table.print_findings("x", machine, findings, file, limit=2)
    assert file.getvalue().count("\tCVE-2026-") == 2
    assert "# The first 2 of 5 rows are shown." in file.getvalue()
    assert file.getvalue().endswith("# 5 findings: 5 low\n")


def test_a_terminal_of_another_encoding_gets_escapes() -> None:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii", errors="strict")
    machine, findings = hostile_machine("é" + ONE_OF_EACH)
    as_table.print_findings("é", machine, findings, file)
    output.say("é\udcff", file)
    file.flush()
    assert b"\\xe9" in raw.getvalue()


# Logs.


@given(TEXT, TEXT)
def test_a_record_is_one_line_whatever_is_in_it(message: str, argument: str) -> None:
    record = logging.LogRecord(message, logging.INFO, "x", 1, "%s %s", (message, argument), None)
    record.taskName = argument
    text = logs.LogFormatter("%(asctime)s %(levelname)s %(name)s %(taskName)s %(message)s").format(
        record
    )
    assert "\n" not in text
    assert is_inert(text)


def test_a_record_is_bounded() -> None:
    record = logging.LogRecord("n", logging.INFO, "x", 1, "%s", ("x" * 1_000_000,), None)
    assert len(logs.LogFormatter("%(message)s").format(record)) < 10_000


def _fail(text: str) -> None:
    raise ValueError(text)


@given(TEXT)
def test_a_traceback_cannot_forge_a_record(text: str) -> None:
    with pytest.raises(ValueError, match="forged") as caught:
        _fail(f"{text}\n2026-01-01 INFO forged")
    info = (caught.type, caught.value, caught.tb)
    record = logging.LogRecord("n", logging.ERROR, "x", 1, "failed", (), info)
    first, *more = logs.LogFormatter("%(message)s").format(record).split("\n")
    assert first == "failed"
    assert all(line.startswith("  ") and is_inert(line) for line in more)
    # Another handler's formatter has not left its own text behind.
    assert record.exc_text is None


def test_arguments_that_do_not_fit_are_logged_all_the_same() -> None:
    record = logging.LogRecord("n", logging.ERROR, "x", 1, "%d\x1b", ("x",), None)
    assert is_inert(logs.LogFormatter("%(message)s").format(record))


def test_libraries_do_not_chat(capfd: pytest.CaptureFixture[str]) -> None:
    root, package_logger = logging.getLogger(), logging.getLogger("sidelight")
    before = root.handlers[:], root.level, package_logger.level
    try:
        logs.configure("%(message)s")
        logging.getLogger("alembic.runtime.migration").info("Context impl SQLiteImpl.")
        logging.getLogger("sidelight.x").info("ours\nforged")
    finally:
        root.handlers[:], root.level, package_logger.level = before[0], before[1], before[2]
    assert capfd.readouterr().err == "ours\\nforged\n"


# Progress.


def test_a_live_line_says_what_how_far_and_how_long() -> None:
    now = [10.0]
    line = progress.LiveLine("reading \x1b[2Jdisk.img", lambda: now[0])
    line.detail = lambda: "12 blocks"
    now[0] = 13.4
    assert line.current() == "reading \\x1b[2Jdisk.img, 12 blocks, 3 s"
    line.detail = lambda: f"{1 // 0}"
    assert line.current() == "reading \\x1b[2Jdisk.img, 3 s"


def test_without_a_terminal_nothing_is_drawn(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress.live("reading") as line:
        line.done("read")
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_the_line_goes_and_what_was_done_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Screen()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stderr", screen)
    with progress.live("reading") as line:
        pass
    line.done("1 package read")
    assert screen.getvalue().endswith("1 package read\n")
    assert "reading" in screen.getvalue()
