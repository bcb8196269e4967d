"""The documentation's site has every document, and its generated references are up to date."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from dispatcher.api.operations import HANDLERS
from dispatcher.cli import reference as cli_reference
from dispatcher.cli.root import sidelight

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    specification = importlib.util.spec_from_file_location("hooks", ROOT / "docsite" / "hooks.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def pages(nav: Any) -> list[str]:
    """The paths of a navigation, in order."""
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [page for part in parts for page in pages(part)]


def test_the_navigation_has_every_document_once(hooks: ModuleType) -> None:
    config = yaml.safe_load((ROOT / "docsite" / "mkdocs.yml").read_text())
    config["mdx_configs"] = {}
    listed = pages(hooks.on_config(config)["nav"])
    own = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}
    project = {f"project/{path.name}" for path in ROOT.glob("*.md")}
    assert sorted(listed) == sorted(own | project)
    tabs = [next(iter(entry)) for entry in config["nav"]]
    assert tabs == ["Home", "Tutorial", "How to", "Reference", "Explanation"]


def test_links_lead_to_where_their_files_are_in_the_site(hooks: ModuleType) -> None:
    def link(document: str, text: str) -> str:
        rewritten: str = hooks.rewritten(text, document)
        return rewritten

    assert link("docs/cli.md", "[a](events.md#security-hub)") == "[a](events.md#security-hub)"
    assert link("docs/cli.md", "[a](../ARCHITECTURE.md)") == "[a](project/ARCHITECTURE.md)"
    policy = "deploy/iam/target-policy.json"
    assert link("docs/accounts.md", f"[a](../{policy})") == f"[a](repository/{policy})"
    assert link("README.md", "![a](docs/demo.svg)") == "![a](../demo.svg)"
    assert link("README.md", "[docs/events.md](docs/events.md)") == "[Events](../events.md)"
    for kept in ("`[a](../b)`", "[a](https://example.com/x.md)", "```\n[a](../b)\n```"):
        assert link("docs/cli.md", kept) == kept


@pytest.mark.parametrize("part", ["cli", "api"])
@pytest.mark.slow
def test_a_generated_reference_is_that_of_the_code(part: str, tmp_path: Path) -> None:
    """In a process of its own, as `make docs`: commands keep the help option of their first use."""
    page, written = DOCS / f"{part}-reference.md", tmp_path / "written.md"
    module = f"dispatcher.{part}.reference"
    subprocess.run([sys.executable, "-m", module, written], cwd=ROOT, check=True)
    assert page.read_text("utf-8") == written.read_text("utf-8"), "run `make docs`"


def test_the_references_have_every_command_and_operation() -> None:
    shown = [name for name, _ in cli_reference.commands(sidelight)]
    assert "sidelight fleet events" in shown
    assert len(shown) == len(set(shown)) > 50
    text = (DOCS / "api-reference.md").read_text("utf-8")
    assert all(f"| {name} | `" in text for name in HANDLERS)
