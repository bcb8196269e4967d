"""`make iam`: write deploy/iam, the templates' policies and the tables of docs/accounts.md."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from sidelight.aws.permissions.policy_files import POLICY_FILES, TEMPLATE_POLICIES
from sidelight.aws.permissions.rendering import as_json, as_resources, as_tables

TEMPLATES: Final = ("scanner", "target")
# Between these lines of a file is what is written.
YAML_MARKS: Final = ("  # Policies: `make iam` writes them.\n", "# End of the policies.\n")
PAGE_MARKS: Final = ("<!-- make iam -->\n", "<!-- end of make iam -->\n")


def written(root: Path) -> dict[Path, str]:
    """Return the text that each file should have. Raises ValueError for a file without marks."""
    files = {root / "deploy" / "iam" / f"{one.name}.json": as_json(one) for one in POLICY_FILES}
    for name in TEMPLATES:
        path = root / "deploy" / "cloudformation" / f"{name}.yaml"
        policies = [one for one in TEMPLATE_POLICIES if one.template == name]
        files[path] = _between(path, YAML_MARKS, as_resources(policies) + "\n")
    page = root / "docs" / "accounts.md"
    files[page] = _between(page, PAGE_MARKS, f"\n{as_tables()}\n")
    return files


def _between(path: Path, marks: tuple[str, str], text: str) -> str:
    before, begin, rest = path.read_text("utf-8").partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not (begin and end):
        raise ValueError(f"{path}: no lines {marks[0]!r} and {marks[1]!r}")
    return f"{before}{begin}{text}{end}{after}"


def main() -> None:
    """Write the files below the folder that is the first argument."""
    for path, text in written(Path(sys.argv[1])).items():
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
