"""Documents by a Jinja template of the user's own (docs/templates.md).

A template is run in Jinja's sandbox, which has no access to Python's objects, files or other
templates. Its time, memory and output are bounded. Text of machines and feeds is made inert before
the template writes it.
"""

from __future__ import annotations

import resource
import signal
import sys
import threading
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sidelight.errors import LimitError, UsageError
from sidelight.report.escape import printable, printable_lines
from sidelight.report.finding_reports import inert
from sidelight.user_files import read_user_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import FrameType
    from typing import TextIO

    from jinja2 import Template
    from markupsafe import Markup

MAX_BYTES: Final = 1 << 20  # of a template
MAX_OUTPUT: Final = 4 << 30  # characters of a document
MAX_CPU_SECONDS: Final = 600.0
MAX_MEMORY: Final = 2 << 30  # bytes of address space beyond what the process has
MAX_TEXT: Final = 1 << 20  # characters of one value
BUILT_IN: Final = ("markdown", "summary")
_ESCAPED: Final = (".html", ".htm", ".xhtml", ".xml", ".svg")
_TEMPLATE_ENDINGS: Final = (".j2", ".jinja", ".jinja2", ".tmpl", ".tpl")
_MARKDOWN: Final = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_{}[]<>()#+-.!|~&"})
_NO_MEMORY: Final = "takes more memory than a template may"
_SOURCE: Final = "<template>"  # Jinja's name of a template without a file


class UserTemplate:
    """A template, which is checked when it is read."""

    def __init__(self, text: str, name: str) -> None:
        """`name` decides by its ending whether HTML is escaped. Raises UsageError with the line."""
        from jinja2 import TemplateError, TemplateSyntaxError

        self._name = name
        try:
            # Jinja computes what is constant while it compiles.
            with _bounded():
                self._template = _template(text, escapes=_is_escaped(name))
        except TemplateSyntaxError as error:
            raise UsageError(str(error.message), where=f"{name}:{error.lineno}") from None
        except (MemoryError, TimeoutError) as error:
            raise LimitError(_line(error) or _NO_MEMORY, where=name) from None
        except (TemplateError, RecursionError) as error:
            raise UsageError(_line(error), where=name) from None

    def write(self, model: Mapping[str, object], file: TextIO) -> None:
        """Write the document of a model.

        Raises UsageError with the template's line, and LimitError where it takes too much.
        """
        from jinja2 import TemplateError

        faults = (
            TemplateError,
            TypeError,
            ValueError,
            ArithmeticError,
            LookupError,
            RecursionError,
        )
        try:
            with _bounded():
                _write(self._template.generate(model), file)
        except (MemoryError, TimeoutError, LimitError) as error:
            raise LimitError(_line(error) or _NO_MEMORY, where=self._place(error)) from None
        except faults as error:
            place = self._place(error)
            if place == self._name:
                raise  # not the template's
            raise UsageError(_line(error), where=place) from None

    def _place(self, error: BaseException) -> str:
        """Return the template's name, with the line that an error comes from if it is known."""
        found, step = 0, error.__traceback__
        while step is not None:
            if step.tb_frame.f_code.co_filename == _SOURCE:
                found = step.tb_lineno
            step = step.tb_next
        return f"{self._name}:{found}" if found else self._name


def _write(parts: Iterable[str], file: TextIO) -> None:
    """Write the parts. Raises LimitError for too many characters."""
    count = 0
    for part in parts:
        count += len(part)
        if count > MAX_OUTPUT:
            raise LimitError(f"writes more than {MAX_OUTPUT} characters")
        file.write(part)


def read_template(name: str) -> UserTemplate:
    """Return the template of a file, or `@NAME` of Sidelight's own. Raises UsageError."""
    if name.startswith("@"):
        if name[1:] not in BUILT_IN:
            raise UsageError(
                f"there is no such template; there are {', '.join(f'@{one}' for one in BUILT_IN)}",
                where=name,
            )
        source = files("sidelight.report") / "templates" / f"{name[1:]}.j2"
        return UserTemplate(source.read_text("utf-8"), name)
    text = read_user_text(Path(name), MAX_BYTES, f"has more than {MAX_BYTES >> 20} MiB")
    return UserTemplate(text, name)


def _template(text: str, *, escapes: bool) -> Template:
    from jinja2 import StrictUndefined

    from sidelight.report.template_sandbox import TemplateSandbox

    environment = TemplateSandbox(
        autoescape=escapes,
        undefined=StrictUndefined,
        finalize=_shown,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "csv": _csv, "markdown": _markdown, "e": _html, "escape": _html, "forceescape": _forced,
    }  # fmt: skip
    return environment.from_string(text)


def _is_escaped(name: str) -> bool:
    lower = name.lower()
    for ending in _TEMPLATE_ENDINGS:
        lower = lower.removesuffix(ending)
    return lower.endswith(_ESCAPED)


def _shown(value: object) -> object:
    """Make text inert: no character of it controls a terminal or ends a line."""
    from markupsafe import Markup

    if isinstance(value, Markup):
        # What a template puts together has lines; texts within it may be as they were.
        return Markup(printable_lines(value))  # noqa: S704 - it was markup before
    if isinstance(value, str) and not isinstance(value, _Escaped):
        return printable(value, MAX_TEXT)
    return "" if value is None else value


def _html(value: object) -> Markup:
    """Return text that is inert, and no markup in HTML. Markup is returned as it is."""
    from markupsafe import escape

    return escape(value if hasattr(value, "__html__") else _shown(value))


def _forced(value: object) -> Markup:
    """Return text that is inert, also where it is markup, and no markup in HTML."""
    return _html("" if value is None else str(value))


class _Escaped(str):
    """A text that a filter has made inert."""

    __slots__ = ()


def _csv(value: object) -> str:
    """Return a cell of CSV in quotes, which no spreadsheet runs."""
    text = inert("" if value is None else printable(str(value), MAX_TEXT))
    return _Escaped('"' + text.replace('"', '""') + '"')


def _markdown(value: object) -> str:
    """Return text that is not markup in Markdown, nor in a cell of its tables."""
    return _Escaped(printable("" if value is None else str(value), MAX_TEXT).translate(_MARKDOWN))


def _line(error: BaseException) -> str:
    return printable(" ".join(str(error).split()), 500)


@contextmanager
def _bounded() -> Iterator[None]:
    """Bound CPU time and memory: beyond them TimeoutError or MemoryError is raised."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = _address_space() + MAX_MEMORY
    is_lowered = soft == resource.RLIM_INFINITY or most < soft
    if is_lowered:
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    is_timed = threading.current_thread() is threading.main_thread()
    before: Any = signal.signal(signal.SIGPROF, _time_is_spent) if is_timed else None
    try:
        if is_timed:
            signal.setitimer(signal.ITIMER_PROF, MAX_CPU_SECONDS)
        yield
    finally:
        if is_timed:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, before)
        if is_lowered:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _time_is_spent(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise TimeoutError(f"takes more than {MAX_CPU_SECONDS:g} s of CPU time")


def _address_space() -> int:
    """Return the bytes of address space that this process has; 0 where that is not known."""
    if sys.platform != "linux":
        return 0
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    return pages * resource.getpagesize()
