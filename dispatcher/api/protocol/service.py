"""The service: its operations by method and path, and its shapes by name."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote

from dispatcher.api.errors import MalformedRequestError, UnknownOperationError
from dispatcher.api.protocol.operation import Operation
from dispatcher.api.protocol.shapes import ShapeModel, shape_of
from sidelight.aws.service_model import service_model

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVICE = "inspector2"


class Service:
    """One service model. Shapes are built when they are first used."""

    def __init__(self, model: Mapping[str, object]) -> None:
        """`model` is the JSON of botocore's service-2."""
        self._shapes = cast("Mapping[str, Mapping[str, object]]", model["shapes"])
        self._built: dict[str, ShapeModel] = {}
        described = cast("Mapping[str, Mapping[str, object]]", model["operations"])
        self.operations = {name: _operation(name, item) for name, item in described.items()}
        self._routes = {
            (item.method, item.path): item
            for item in self.operations.values()
            if "{" not in item.path
        }
        self._labelled = [item for item in self.operations.values() if "{" in item.path]

    def shape(self, name: str) -> ShapeModel:
        """Return a shape of the model by its name."""
        built = self._built.get(name)
        if built is None:
            built = self._built[name] = shape_of(name, self._shapes[name])
        return built

    def route(self, method: str, path: str) -> tuple[Operation, dict[str, str]]:
        """Return the operation of a method and an encoded path, and its labels.

        Raises UnknownOperationError and MalformedRequestError.
        """
        found = self._routes.get((method, path))
        if found is not None:
            return found, {}
        for operation in self._labelled:
            begin, _, label = operation.path.rstrip("}").partition("{")
            rest = path.removeprefix(begin)
            if operation.method == method and rest and rest != path:
                try:
                    return operation, {label: unquote(rest, errors="strict")}
                except UnicodeDecodeError as error:
                    raise MalformedRequestError("the path is not UTF-8") from error
        raise UnknownOperationError("no operation of Amazon Inspector has this method and path")


@cache
def inspector2() -> Service:
    """Return the service as the installed botocore describes it; read once."""
    return Service(service_model(SERVICE))


def _operation(name: str, model: Mapping[str, object]) -> Operation:
    http = cast("Mapping[str, object]", model["http"])
    errors = cast("list[Mapping[str, str]]", model.get("errors", []))
    return Operation(
        name=name,
        method=str(http["method"]),
        path=str(http["requestUri"]),
        status=int(cast("int", http.get("responseCode", 200))),
        input_shape=cast("Mapping[str, str]", model["input"])["shape"] if "input" in model else "",
        output_shape=cast("Mapping[str, str]", model["output"])["shape"]
        if "output" in model
        else "",
        errors=frozenset(item["shape"] for item in errors),
    )
