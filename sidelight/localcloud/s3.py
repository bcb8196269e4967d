"""S3 by moto, asked by path (`/bucket/key`): clients do so where the endpoint is an address."""

from __future__ import annotations

from typing import Any

from moto.s3.responses import S3Response


def dispatch(request: Any, url: str, headers: Any) -> Any:
    """Let moto answer a request for the list of buckets, for a bucket, or for an object."""
    path = url.partition("://")[2].partition("/")[2].partition("?")[0]
    bucket, _slash, key = path.partition("/")
    if key:
        return S3Response.key_dispatch(request, url, headers)
    if bucket:
        return S3Response.ambiguous_dispatch(request, url, headers)
    return S3Response.bucket_dispatch(request, url, headers)
