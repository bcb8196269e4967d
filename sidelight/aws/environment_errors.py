"""botocore's errors about the AWS environment itself: profile, configuration, region, login.

No retry fixes these. botocore has no common base class for them, so they are listed here. They are
looked up by name, because older versions have fewer.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache

import boto3
from botocore import exceptions
from botocore.parsers import ResponseParserError

from sidelight.errors import OwnCredentialsError, SidelightError, UsageError

NO_CREDENTIALS = (
    "no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)
# Of every partition: us-east-1, us-gov-west-1, us-isob-east-1, eusc-de-east-1.
_REGION = re.compile(r"[a-z]{2,6}(?:-[a-z]{2,12}){1,2}-[0-9]{1,2}")
_HOST = re.compile(r"://[\w.-]*?\b([\w-]+)\.(?:amazonaws|api\.aws|amazonwebservices)\b")


def _named(*names: str) -> tuple[type[Exception], ...]:
    return tuple(getattr(exceptions, name) for name in names if hasattr(exceptions, name))


_MISSING = _named("NoCredentialsError", "PartialCredentialsError", "NoAuthTokenError")
_LOGIN = _named(
    "TokenRetrievalError",
    "SSOError",
    "LoginError",
    "CredentialRetrievalError",
    "RefreshWithMFAUnsupportedError",
    "MetadataRetrievalError",
    "UnknownCredentialError",
    "UnknownTokenProviderError",
)
_SSO = _named("TokenRetrievalError", "SSOError")
_CONFIGURATION = _named(
    "ProfileNotFound",
    "ConfigParseError",
    "ConfigNotFound",
    "InvalidConfigError",
    "NoRegionError",
    "InvalidRegionError",
    "UnknownRegionError",
    "UnknownEndpointError",
    "UnknownFIPSEndpointError",
    "EndpointVariantError",
    "EndpointProviderError",
    "ServiceNotInRegionError",
    "InvalidIMDSEndpointError",
    "InvalidIMDSEndpointModeError",
    "InvalidRetryConfigurationError",
    "InvalidSTSRegionalEndpointsConfigError",
    "InvalidEndpointDiscoveryConfigurationError",
    "InvalidEndpointConfigurationError",
    "InvalidProxiesConfigError",
    "InvalidDefaultsMode",
    "InvalidChecksumConfigError",
    "UnknownSignatureVersionError",
    "UnsupportedSignatureVersionError",
    "MissingDependencyException",
)


def environment_error(error: BaseException, *, where: str = "") -> SidelightError | None:
    """Return the Sidelight error for an error of the environment; None for every other error.

    Wrong configuration is a UsageError, missing credentials are an OwnCredentialsError.
    """
    if isinstance(error, exceptions.NoRegionError):
        return UsageError("no AWS region: set AWS_REGION or give --region", where=where)
    if isinstance(error, _MISSING):
        partial = isinstance(error, exceptions.PartialCredentialsError)
        text = f"{NO_CREDENTIALS}{f' ({error})' if partial else ''}"
        return OwnCredentialsError(text, where=where)
    if isinstance(error, _CONFIGURATION):
        return UsageError(f"AWS configuration: {error}", where=where)
    if isinstance(error, _LOGIN):
        hint = ""
        if isinstance(error, _SSO):
            profile = os.environ.get("AWS_PROFILE", "")
            hint = f"; run `aws sso login{f' --profile {profile}' if profile else ''}`"
        return OwnCredentialsError(f"no AWS credentials: {error}{hint}", where=where)
    return None


def describe(error: BaseException) -> str:
    """Return botocore's text, with a hint if the connection was to a region it does not know.

    A region that AWS does not have has no endpoint, which looks like a broken network. The text of
    an answer that is not AWS's has the whole answer, which is left out.
    """
    if isinstance(error, ResponseParserError | UnicodeDecodeError):
        return "the answer is not one of AWS; is there a proxy that answers instead?"
    text = str(error)
    host = _HOST.search(text) if isinstance(error, exceptions.EndpointConnectionError) else None
    if host is not None and host[1] not in _known():
        return f"{text}: is there a region {host[1]!r}? (AWS_REGION or --region)"
    return text


def check_region(region: str) -> None:
    """Raise UsageError for a text that cannot be the name of a region."""
    if _REGION.fullmatch(region) is None:
        near = [name for name in _known() if region and name.startswith(region[:2])]
        hint = f" (AWS has {', '.join(near[:4])} and others)" if near else ""
        raise UsageError(f"{region!r} is not an AWS region{hint}: see AWS_REGION or --region")


@lru_cache(maxsize=1)
def _known() -> tuple[str, ...]:
    """Return the regions of all partitions that this botocore lists."""
    session = boto3.Session(region_name="us-east-1")
    partitions = session.get_available_partitions()
    return tuple(
        region
        for partition in partitions
        for region in session.get_available_regions("ec2", partition_name=partition)
    )
