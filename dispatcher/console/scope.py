"""The scope of a view: accounts, Regions and a tag, kept in the URL and in every link."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dispatcher.console.web_messages import Fields

_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_REGION: Final = re.compile(r"[a-z]{2}(?:-[a-z]{1,12}){1,3}-[0-9]{1,2}")
_MOST_TAG: Final = 400  # characters
MEMBERS: Final = ("account", "region", "tag")


@dataclass(frozen=True, slots=True)
class ViewScope:
    """What a person looks at. Empty members do not limit; `visible` is what the person may see.

    `visible` None is every account.
    """

    visible: frozenset[str] | None
    account: str = ""
    region: str = ""
    tag: str = ""

    @classmethod
    def of(cls, fields: Fields, visible: frozenset[str] | None) -> ViewScope:
        """Return the scope of a URL's fields; a value that cannot be one is dropped."""
        account, region, tag = (
            next(filter(None, fields.get(name, [])), "").strip() for name in MEMBERS
        )
        return cls(
            visible,
            account if _ACCOUNT.fullmatch(account) else "",
            region if _REGION.fullmatch(region) else "",
            tag[:_MOST_TAG] if tag.partition("=")[0] else "",
        )

    @property
    def accounts(self) -> frozenset[str] | None:
        """The accounts to show: those that are visible and chosen; None is every account."""
        if not self.account:
            return self.visible
        chosen = frozenset({self.account})
        return chosen if self.visible is None else chosen & self.visible

    def parameters(self) -> list[tuple[str, str]]:
        """Return the members that are chosen, for a URL."""
        return [(name, getattr(self, name)) for name in MEMBERS if getattr(self, name)]

    def dropped(self, fields: Fields) -> list[str]:
        """Return the members that a URL has with a value that cannot be one."""
        return [name for name in MEMBERS if any(fields.get(name, [])) and not getattr(self, name)]

    def without(self, name: str) -> ViewScope:
        """Return the scope without one member."""
        kept = {member: "" if member == name else getattr(self, member) for member in MEMBERS}
        return ViewScope(self.visible, **kept)

    def allows(self, account: str) -> bool:
        """Whether the person may see this account, whatever is chosen."""
        return self.visible is None or account in self.visible

    def criteria(self) -> dict[str, object]:
        """Return Region and tag as Inspector's FilterCriteria; accounts are `accounts`."""
        return {**self._tests("resourceTags")}

    def coverage_filters(self) -> dict[str, Sequence[Mapping[str, object]]]:
        """Return Region and tag as Inspector's CoverageFilterCriteria."""
        return self._tests("ec2InstanceTags")

    def _tests(self, tags: str) -> dict[str, Sequence[Mapping[str, object]]]:
        """Return the tests of Region and tag; `tags` is the criterion of tags. `key=` is any."""
        tests: dict[str, Sequence[Mapping[str, object]]] = {}
        if self.region:
            tests["cloudProviderRegion"] = [{"comparison": "EQUALS", "value": self.region}]
        if self.tag:
            key, _, value = self.tag.partition("=")
            wanted = {"value": value} if value else {}
            tests[tags] = [{"comparison": "EQUALS", "key": key, **wanted}]
        return tests

    def link(self, path: str, **parameters: object) -> str:
        """Return a URL of this console with the scope; parameters None or "" are left out."""
        pairs = [
            (name, str(item))
            for name, value in parameters.items()
            for item in (value if isinstance(value, list | tuple) else [value])
            if item is not None and item != ""
        ]
        named = set(parameters)
        kept = [(name, value) for name, value in self.parameters() if name not in named]
        query = urlencode([*kept, *pairs], errors="replace")
        return f"{path}?{query}" if query else path
