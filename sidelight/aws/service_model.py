"""AWS's own descriptions of its services, as botocore has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import DataNotFoundError, UnknownServiceError
from botocore.loaders import Loader

from sidelight.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping


def service_model(service: str) -> Mapping[str, object]:
    """Return the newest model of a service in the installed botocore. Raises UnsupportedError."""
    try:
        model: Mapping[str, object] = Loader().load_service_model(service, "service-2")
    except (DataNotFoundError, UnknownServiceError) as error:
        raise UnsupportedError("botocore has no model of this service", where=service) from error
    return model
