"""Reports as objects in a customer's bucket, encrypted by a customer's KMS key.

The account's own role writes them, as Inspector does: bucket and key allow that role. Uploads are
in parts, so that the size of a report takes no memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import BotoCoreError, ClientError

from sidelight.aws.faults import code_of, translate
from sidelight.errors import AccessDeniedError, CloudError, SidelightError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sidelight.aws.session import Session

# S3's codes -> Inspector's ReportingErrorCode.
_CODES: Final = {
    "NoSuchBucket": "BUCKET_NOT_FOUND",
    "AccessDenied": "INVALID_PERMISSIONS",
    "AllAccessDisabled": "INVALID_PERMISSIONS",
    "PermanentRedirect": "INCOMPATIBLE_BUCKET_REGION",
    "AuthorizationHeaderMalformed": "INCOMPATIBLE_BUCKET_REGION",
    "IllegalLocationConstraintException": "INCOMPATIBLE_BUCKET_REGION",
}


class ReportRefusedError(SidelightError):
    """S3 or KMS refused a report; `code` is one of Inspector's ReportingErrorCode."""

    def __init__(self, what: str, *, where: str, code: str) -> None:
        super().__init__(what, where=where)
        self.code = code


class ReportBucket:
    """The destination of a report: Inspector's Destination."""

    def __init__(
        self, session: Session, account: str, region: str, destination: Mapping[str, str]
    ) -> None:
        self._session = session
        self._account, self._region = account, region
        self._destination = destination

    def put(self, file: Path, key: str, content_type: str) -> None:
        """Upload a file under a key. Raises ReportRefusedError."""
        bucket = self._destination["bucketName"]
        extra = {
            "ContentType": content_type,
            "ServerSideEncryption": "aws:kms",
            "SSEKMSKeyId": self._destination["kmsKeyArn"],
        }
        if owner := self._destination.get("expectedBucketOwner"):
            extra["ExpectedBucketOwner"] = owner
        where = f"s3://{bucket}/{key}"
        try:
            client = self._session.client("s3", account=self._account, region=self._region)
            client.upload_file(str(file), bucket, key, ExtraArgs=extra)
        except S3UploadFailedError as error:
            cause = error.__context__
            known = cause if isinstance(cause, ClientError) else None
            code = code_of(known) if known is not None else ""
            raise ReportRefusedError(str(error)[:500], where=where, code=_code(code)) from error
        except (ClientError, BotoCoreError) as error:
            code = code_of(error) if isinstance(error, ClientError) else ""
            what = translate(error, where=where).what
            raise ReportRefusedError(what, where=where, code=_code(code)) from error
        except AccessDeniedError as error:
            raise ReportRefusedError(error.what, where=where, code="INVALID_PERMISSIONS") from error
        except CloudError as error:
            raise ReportRefusedError(error.what, where=where, code="INTERNAL_ERROR") from error


def _code(code: str) -> str:
    if code.startswith("KMS."):
        return "MALFORMED_KMS_KEY"
    return _CODES.get(code, "INTERNAL_ERROR")
