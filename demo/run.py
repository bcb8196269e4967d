"""`make demo`: a small fleet in a local cloud, scanned as in production."""

from __future__ import annotations

import signal
import sys


def main() -> int:
    """Run it; the exit status."""
    # The imports take a second. Until the demonstration has a handler, Ctrl-C has nothing to end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from demonstration import main as demonstrate

    return demonstrate()


if __name__ == "__main__":
    sys.exit(main())
