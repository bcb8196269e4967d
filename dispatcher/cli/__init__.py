"""The command line: options, output and exit statuses."""

from __future__ import annotations

import signal


def main() -> None:
    """Run `sidelight`. Ctrl-C ends it quietly even while its modules are imported."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from dispatcher.cli import root

    root.main()
