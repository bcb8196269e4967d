"""What all calls of EC2 share: the store of snapshots, refusals, and the forms of ids.

moto parses the request and writes the answer by botocore's model. Facts: the EC2 API reference and
its list of error codes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Self

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses import EC2Response

from sidelight.localcloud.refusals import text

if TYPE_CHECKING:
    from sidelight.localcloud.snapshot_store import Shelf

# The header by which the control plane hands on the number of a request's connection.
CONNECTION = "x-sidelight-connection"
_HEX = r"[0-9a-f]{8}(?:[0-9a-f]{9})?"
_MALFORMED = {
    "snap": "InvalidSnapshotID.Malformed",
    "vol": "InvalidParameterValue",
    "i": "InvalidInstanceID.Malformed",
}


class Ec2Calls(EC2Response):
    """moto's EC2 with a store of snapshots.

    Methods that are not actions begin with `_sl_`: moto takes any method for an action.
    """

    shelf: ClassVar[Shelf]

    @classmethod
    def bind(cls, shelf: Shelf) -> type[Self]:
        """Return the class for this store: moto makes a new object for each request."""
        return type("BoundSnapshotCalls", (cls,), {"shelf": shelf})

    def _sl_connection(self) -> int:
        return int(self.headers.get(CONNECTION, 0))

    def _sl_refused(self, code: str, resource_id: str = "") -> EC2ClientError:
        return EC2ClientError(code, text(code, self.shelf.conditions.texts, id=resource_id))


def checked(resource_id: str, prefix: str) -> str:
    """Return an id of the form that EC2 takes. Raises EC2ClientError for any other."""
    if re.fullmatch(f"{prefix}-{_HEX}", resource_id) is None:
        raise EC2ClientError(_MALFORMED[prefix], f'Invalid id: "{resource_id}"')
    return resource_id
