"""The structure that `make structure` prints: what it counts in a small tree, and in this one."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import structure

ROOT = Path(__file__).resolve().parents[2]
LAYERS = """
[[tool.importlinter.contracts]]
name = "layers"
type = "layers"
containers = ["sidelight"]
layers = ["upper", "lower | beside"]
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(LAYERS)
    modules = {
        "upper/__init__": "",
        "upper/one": "from sidelight import lower\nfrom .two import x\n",
        "upper/two": "def f():\n    from sidelight.upper import one\n",
        "lower": "from sidelight.upper import one\nimport os\n",
        "beside": "import sidelight.lower\nclass Same: ...\nclass Same: ...\n",
    }
    for name, text in modules.items():
        path = tmp_path / "sidelight" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_imports_of_modules_are_found_wherever_they_are(checkout: Path) -> None:
    imports = structure.read(checkout).imports
    assert imports["sidelight.upper.one"] == {"sidelight.lower", "sidelight.upper.two"}
    assert imports["sidelight.upper.two"] == {"sidelight.upper.one"}
    assert imports["sidelight.beside"] == {"sidelight.lower"}


def test_rooms_floors_and_circles_are_counted(checkout: Path) -> None:
    tree = structure.read(checkout)
    arrows = structure.rooms(tree, "sidelight")
    assert arrows["sidelight.upper"] == {"sidelight.lower"}
    assert arrows["sidelight.lower"] == {"sidelight.upper"}
    assert structure.circles(arrows) == [["sidelight.lower", "sidelight.upper"]]
    assert structure.circles(tree.imports) == [
        ["sidelight.lower", "sidelight.upper.one", "sidelight.upper.two"]
    ]
    assert structure.floors({"a": {"b"}, "b": {"c"}, "c": set()}) == 3
    assert tree.classes["Same"] == ["sidelight.beside", "sidelight.beside"]


def test_an_import_of_a_higher_layer_or_of_a_neighbour_is_against_the_layers(
    checkout: Path,
) -> None:
    assert structure.upward(structure.read(checkout), checkout) == [
        "sidelight.beside -> sidelight.lower", "sidelight.lower -> sidelight.upper.one",
    ]  # fmt: skip


@pytest.mark.slow
def test_this_tree_has_no_circle_and_no_import_against_its_layers() -> None:
    tree = structure.read(ROOT)
    assert structure.circles(tree.imports) == []
    assert structure.upward(tree, ROOT) == []
