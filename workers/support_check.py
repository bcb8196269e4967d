"""End a worker whose code a newer version's tables do not work with.

A newer version may migrate the store while a worker runs (docs/upgrades.md). Each transaction of
such a worker is refused, so its scans stay as they are. The worker then ends as by SIGTERM, with
the exit status of one that starts on such a store, and another one continues its scans.
"""

from __future__ import annotations

import logging
import os
import signal
from typing import TYPE_CHECKING, Any, Final

from celery import bootsteps

from sidelight.errors import OutdatedCodeError, SidelightError
from sidelight.fleet import bootstrap
from sidelight.store import Store

if TYPE_CHECKING:
    from celery import Celery

log = logging.getLogger(__name__)

CHECK_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 5.0  # the longest wait for the store: the worker's loop waits too
EXIT_STATUS: Final = 4  # docs/cli.md: it failed


class SupportCheck(bootsteps.StartStopStep):  # type: ignore[misc] # Celery has no types
    """A step of the worker's main process, which starts again with each connection."""

    def __init__(self, consumer: Any, **options: object) -> None:
        """Celery calls it."""
        super().__init__(consumer, **options)
        self._entry: Any = None
        self._ending = False

    def start(self, consumer: Any) -> None:
        """Ask from now on; the timer is the worker's own."""
        self._entry = consumer.timer.call_repeatedly(CHECK_SECONDS, self.check, (consumer,))

    def stop(self, _: Any) -> None:
        """Ask no more."""
        if self._entry is not None:
            self._entry.cancel()
            self._entry = None

    def check(self, consumer: Any) -> None:
        """End the worker if the store's tables do not work with it; an absent store waits."""
        if self._ending:
            return
        try:
            with Store(
                bootstrap.process_settings().store.url, busy_seconds=ANSWER_SECONDS
            ) as store:
                store.require_support()
        except OutdatedCodeError as error:
            self._ending = True
            log.critical("this worker ends: %s", error)
            consumer.controller.exitcode = EXIT_STATUS
            # With this signal Celery gives the tasks time to end, and then gives them back.
            os.kill(os.getpid(), signal.SIGQUIT)
        except SidelightError as error:
            log.debug("whether the store supports this version is not known: %s", error)


def use(app: Celery) -> None:
    """Let the workers of an application check."""
    app.steps["consumer"].add(SupportCheck)
