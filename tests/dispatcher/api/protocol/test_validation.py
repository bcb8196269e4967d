"""Requests checked against the model: every constraint, with the member that breaks it."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING

import pytest
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from dispatcher.api.errors import Reason, UnknownOperationError, ValidationError
from dispatcher.api.protocol.answers import failure, success
from dispatcher.api.protocol.operation import ROLES
from dispatcher.api.protocol.requests import NODES_LIMIT, parameters, query_fields
from dispatcher.api.protocol.service import Service, inspector2
from dispatcher.api.protocol.validation import FIELDS_LIMIT, Checker, response_faults
from sidelight.aws.service_model import service_model
from tests.fixtures.model_requests import ModelValues

if TYPE_CHECKING:
    from collections.abc import Mapping

ARN = "arn:aws:inspector2:eu-west-1:111122223333:owner/111122223333/filter/0123456789abcdef"


def parsed(name: str, body: object, labels: Mapping[str, str] | None = None, query: str = "") -> (
    dict[str, object]
):  # fmt: skip
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    service = inspector2()
    return parameters(service, service.operations[name], labels or {}, query_fields(query), data)


def faults(name: str, body: object) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        parsed(name, body)
    assert caught.value.reason is Reason.FIELD_VALIDATION_FAILED
    return {field.name: field.message for field in caught.value.fields}


def test_all_84_operations_are_routed_and_48_have_a_role() -> None:
    service = inspector2()
    assert len(service.operations) >= 84
    assert len(ROLES) == 48
    assert ROLES.keys() <= service.operations.keys()
    for operation in service.operations.values():
        path = operation.path.replace("{resourceArn}", "arn%3Aaws%2Fx")
        found, labels = service.route(operation.method, path)
        assert found is operation
        assert labels == ({"resourceArn": "arn:aws/x"} if "{" in operation.path else {})


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/findings/list"), ("POST", "/findings/list/"), ("POST", "/"), ("POST", ""),
     ("POST", "//findings/list"), ("PATCH", "/tags/x"), ("POST", "/tags/"), ("get", "/tags/x")],
)  # fmt: skip
def test_another_method_or_path_is_no_operation(method: str, path: str) -> None:
    with pytest.raises(UnknownOperationError):
        inspector2().route(method, path)


def test_unknown_members_are_dropped_and_null_is_absent() -> None:
    body = {"maxResults": 7, "nextToken": None, "new": {"x": 1}, "sortCriteria": {
        "field": "SEVERITY", "sortOrder": "DESC", "also": 1}}  # fmt: skip
    assert parsed("ListFindings", body) == {
        "maxResults": 7, "sortCriteria": {"field": "SEVERITY", "sortOrder": "DESC"}
    }  # fmt: skip
    assert parsed("ListFindings", b"") == {}


def test_labels_and_query_are_members() -> None:
    found = parsed("UntagResource", b"", {"resourceArn": ARN}, "tagKeys=a&tagKeys=b%2Fc&x=y")
    assert found == {"resourceArn": ARN, "tagKeys": ["a", "b/c"]}
    found = parsed("GetEncryptionKey", b"", {}, "scanType=PACKAGE&resourceType=AWS_EC2_INSTANCE")
    assert found == {"scanType": "PACKAGE", "resourceType": "AWS_EC2_INSTANCE"}


def test_times_are_aware_datetimes() -> None:
    criteria = {"updatedAt": [{"startInclusive": 1.5}]}
    found = parsed("ListFindings", {"filterCriteria": criteria})
    assert found == {
        "filterCriteria": {
            "updatedAt": [{"startInclusive": datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC)}]
        }
    }


def test_each_constraint_names_its_member() -> None:
    severity = [{"comparison": "IS", "value": 1}, {}]
    found = faults(
        "ListFindings",
        {"maxResults": 101, "nextToken": 5, "filterCriteria": {
            "severity": severity, "title": [], "portRange": [{"beginInclusive": 70_000}],
            "epssScore": [{"lowerInclusive": "1"}], "updatedAt": [{"endInclusive": "today"}],
        }},
    )  # fmt: skip
    assert found == {
        "maxResults": "Member must have value less than or equal to 100",
        "nextToken": "Member must be a string",
        "filterCriteria.severity[0].comparison":
            "Member must satisfy enum value set: [EQUALS, NOT_EQUALS, PREFIX]",
        "filterCriteria.severity[0].value": "Member must be a string",
        "filterCriteria.severity[1].comparison": "Member must not be null",
        "filterCriteria.severity[1].value": "Member must not be null",
        "filterCriteria.title": "Member must have length greater than or equal to 1",
        "filterCriteria.portRange[0].beginInclusive":
            "Member must have value less than or equal to 65535",
        "filterCriteria.epssScore[0].lowerInclusive": "Member must be a number",
        "filterCriteria.updatedAt[0].endInclusive": "Member must be a number",
    }  # fmt: skip
    assert faults("ListFindingAggregations", {"aggregationType": "AMI", "aggregationRequest": {}})
    assert faults("GetMember", {"accountId": "11112222333\u0663"}), "other scripts' digits"
    assert faults("GetMember", {"accountId": "111122223333\n"})
    assert faults("CreateFilter", {"name": "a\0b", "action": "NONE", "filterCriteria": {}})
    assert faults("TagResource", {"tags": {"": "x", "k": None}})


@pytest.mark.parametrize(
    "body",
    [b"[]", b"1", b'"x"', b"null", b"{", b"\xff", b'{"maxResults": NaN}', b'{"a":' * 5000,
     b"[" * 100_000, b'{"maxResults": ' + b"9" * 5000 + b"}", b"{" + b"," * (NODES_LIMIT + 1)],
)  # fmt: skip
def test_a_body_that_is_no_json_object_cannot_be_parsed(body: bytes) -> None:
    with pytest.raises(ValidationError) as caught:
        parsed("ListFindings", body)
    assert caught.value.reason is Reason.CANNOT_PARSE


def test_a_request_with_many_faults_costs_little() -> None:
    texts = ["1" * 511 + "\n"] * 7000  # the square of their length, if each were matched
    begun = time.perf_counter()
    found = faults("ListUsageTotals", {"accountIds": texts})
    assert len(found) == FIELDS_LIMIT
    assert time.perf_counter() - begun < 5
    assert faults("ListUsageTotals", {"accountIds": ["1" * 100_000]})


def test_every_pattern_of_a_served_operation_is_checked_and_bounded() -> None:
    service, model = inspector2(), service_model("inspector2")
    shapes = model["shapes"]
    assert isinstance(shapes, dict)
    for name in served_shapes(service):
        shape = service.shape(name)
        assert (shape.pattern is not None) == ("pattern" in shapes[name]), name


def served_shapes(service: Service) -> set[str]:
    """The shapes of the requests of the operations that are served."""
    found: set[str] = set()
    waiting = [service.operations[name].input_shape for name in ROLES]
    while waiting:
        name = waiting.pop()
        if name and name not in found:
            found.add(name)
            shape = service.shape(name)
            waiting += [shape.element, shape.key, *(m.shape for m in shape.members.values())]
    return found


@pytest.mark.parametrize("name", sorted(ROLES))
def test_what_botocore_writes_is_read_and_what_is_written_botocore_reads(name: str) -> None:
    service = inspector2()
    operation = service.operations[name]
    model = ServiceModel(service_model("inspector2"), "inspector2")
    described = model.operation_model(name)
    for seed in range(20):
        values = ModelValues(service, Random(seed))
        arguments = values.valid(operation.input_shape) if operation.input_shape else {}
        assert isinstance(arguments, dict)
        sent = create_serializer("rest-json").serialize_to_request(arguments, described)
        found, labels = service.route(sent["method"], sent["url_path"])
        assert found is operation
        query = [
            (key, value)
            for key, held in dict(sent["query_string"]).items()
            for value in (held if isinstance(held, list) else [held])
        ]
        body = sent["body"] if isinstance(sent["body"], bytes) else sent["body"].encode()
        read = parameters(service, operation, labels, query, body)
        checker = Checker(service)
        assert read == checker.check(operation.input_shape, arguments) if arguments else read == {}
        output = ModelValues(service, Random(seed), times=True).valid(operation.output_shape)
        assert isinstance(output, dict)
        assert response_faults(service, operation.output_shape, output) == []
        answer = success(service, operation, output, "id-1")
        parser = create_parser("rest-json")
        assert described.output_shape is not None
        shown = parser.parse(
            {"body": answer.body, "headers": answer.headers, "status_code": answer.status},
            described.output_shape,
        )
        shown.pop("ResponseMetadata")
        assert comparable(shown) == comparable(output)


def comparable(value: object) -> object:
    """A value with its times in UTC."""
    if isinstance(value, dict):
        return {key: comparable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [comparable(item) for item in value]
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def test_an_error_is_what_botocore_reads() -> None:
    error = ValidationError("no", fields=[])
    answer = failure(error, "id-1")
    headers = {name.lower(): value for name, value in answer.headers.items()}
    response = {"body": answer.body, "headers": headers, "status_code": answer.status}
    model = ServiceModel(service_model("inspector2"), "inspector2")
    parser = create_parser("rest-json")
    output = model.operation_model("ListFindings").output_shape
    assert output is not None
    shown = parser.parse(response, output)
    assert shown["Error"] == {"Code": "ValidationException", "Message": "no"}
    assert shown["ResponseMetadata"]["RequestId"] == "id-1"
    shown = parser.parse(response, model.shape_for("ValidationException"))
    assert shown["reason"] == "FIELD_VALIDATION_FAILED"
