"""A machine whose clock is wrong: found by AWS's Date header, and not a denial."""

from __future__ import annotations

import pytest

from sidelight.aws.ebs_faults import fault_of, is_late
from sidelight.aws.faults import translate
from sidelight.errors import AccessDeniedError, ClockSkewError
from tests.aws.scripted_snapshots import SNAPSHOT
from tests.fakes.scripted_aws import refused


@pytest.mark.parametrize(
    "code",
    ["InvalidSignatureException", "SignatureDoesNotMatch", "RequestExpired", "AuthFailure"],
)
@pytest.mark.parametrize(("ahead", "way"), [(900.0, "fast"), (-900.0, "slow")])
def test_a_wrong_clock_is_detected_by_awss_date_header(code: str, ahead: float, way: str) -> None:
    error = translate(refused(code, "not valid", status=403, ahead=ahead), where="here")
    assert isinstance(error, ClockSkewError)
    assert f"clock is wrong ({900:.0f} s {way})" in str(error).replace("901", "900").replace(
        "899", "900"
    )
    right = translate(refused(code, "not valid", status=403), where="here")
    assert isinstance(right, AccessDeniedError)


def test_a_wrong_clock_without_a_date_header_is_detected_by_the_error_code() -> None:
    text = "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z"
    error = refused("InvalidSignatureException", text, status=403, ahead=None)
    assert isinstance(translate(error, where=""), ClockSkewError)
    other = refused("InvalidSignatureException", "does not match", status=403, ahead=None)
    assert isinstance(translate(other, where=""), AccessDeniedError)


def test_a_block_read_with_a_wrong_clock_is_not_a_denial() -> None:
    error = refused("InvalidSignatureException", status=403, ahead=900.0)
    fault = fault_of(error, where="x", snapshot=SNAPSHOT, first=True)
    assert isinstance(fault, ClockSkewError)
    assert not is_late(fault)
