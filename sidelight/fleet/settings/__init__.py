"""The settings of commands, dispatcher, workers and `serve`, in groups: `settings.store.url`."""

from sidelight.fleet.settings.definition import Unchosen
from sidelight.fleet.settings.scanning import NO_ADVISORIES
from sidelight.fleet.settings.settings import Settings, refuse_unknown

__all__ = ["NO_ADVISORIES", "Settings", "Unchosen", "refuse_unknown"]
