"""The recording that `sidelight probe` writes: one of these documents a line."""

from typing import NotRequired, TypedDict


class RecordingHead(TypedDict):
    """The first line: the file's format, Sidelight's version, and the probed region."""

    format: str
    version: int
    sidelight: str
    region: str


class RecordedError(TypedDict):
    """An error in AWS's words, with identifiers replaced."""

    code: str
    message: str
    reason: NotRequired[str]


class RecordedCall(TypedDict):
    """One call. `at` and `took` in seconds since the probe's start and since the call.

    `request` and `answer` have the members of AWS's API that identify no account; `status` is 0
    where no answer came. Either `answer` or `error` is there.
    """

    step: str
    at: float
    took: float
    source: str
    operation: str
    status: int
    request: dict[str, object]
    answer: NotRequired[dict[str, object]]
    error: NotRequired[RecordedError]


RecordingLine = RecordingHead | RecordedCall
