"""The Celery application for Flower: `celery -A workers.monitoring flower`.

Workers don't answer Flower's questions where remote control is off, which is the default. Then
Flower lists the queues that the application names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import kombu

from sidelight.aws.session import known_regions
from sidelight.fleet.bootstrap import process_settings
from sidelight.model import STAGES
from workers.app import make_app, queues

if TYPE_CHECKING:
    from collections.abc import Callable

settings = process_settings()
regions = known_regions() if settings.broker.regional_queues else [""]
app = make_app(settings)
make_queue: Callable[..., object] = kombu.Queue  # type: ignore[attr-defined] # kombu has no types
app.conf.task_queues = [make_queue(name) for name in queues(STAGES, regions, settings)]
