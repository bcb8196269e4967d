"""ListTagsForResource, TagResource, UntagResource: of filters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dispatcher.api.errors import BadRequestError
from dispatcher.api.operations.filters import find_filter
from dispatcher.api.operations.request_values import text, text_map, texts
from dispatcher.api.operations.tags import MOST_TAGS, check_tags

if TYPE_CHECKING:
    from dispatcher.api.call import ApiRequest, ApiResponse, Call


def list_tags(call: Call, request: ApiRequest) -> ApiResponse:
    """ListTagsForResource."""
    arn = text(request, "resourceArn")
    find_filter(call, arn)
    return {"tags": call.services.store.resource_tags.of([arn])[arn]}


def tag_resource(call: Call, request: ApiRequest) -> ApiResponse:
    """TagResource."""
    arn, tags = text(request, "resourceArn"), text_map(request, "tags")
    find_filter(call, arn)
    check_tags(tags)
    if not call.services.store.resource_tags.put(arn, tags, MOST_TAGS):
        raise BadRequestError(f"a resource has at most {MOST_TAGS} tags")
    return {}


def untag_resource(call: Call, request: ApiRequest) -> ApiResponse:
    """UntagResource: keys that it does not have are ignored."""
    arn = text(request, "resourceArn")
    find_filter(call, arn)
    call.services.store.resource_tags.remove(arn, texts(request, "tagKeys"))
    return {}


HANDLERS = {
    "ListTagsForResource": list_tags,
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
}
