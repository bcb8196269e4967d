"""Print the code's structure: rooms, imports against the layers, circles, longest modules.

    python benchmarks/structure.py [CHECKOUT]

It reads syntax trees only, so it can print the structure of any commit's checkout. A room is a
package or module directly in one of the three packages, for example `sidelight.store` or
`dispatcher.loop`. Imports under TYPE_CHECKING count. Layers are the contracts of type `layers` in
that checkout's pyproject.toml.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

PACKAGES = ("sidelight", "workers", "dispatcher")
MIGRATIONS = "migrations"  # written once, never refactored
LONG_MODULE, LONG_FUNCTION = 300, 40  # lines
SHOWN = 8


@dataclass
class SourceTree:
    """The modules of a checkout by dotted name: their lines, functions, classes and imports."""

    lines: dict[str, int] = field(default_factory=dict)
    functions: list[tuple[int, str]] = field(default_factory=list)  # (lines, name)
    classes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    imports: dict[str, set[str]] = field(default_factory=dict)


def read(root: Path) -> SourceTree:
    """Parse the three packages of a checkout."""
    tree = SourceTree()
    sources: dict[str, tuple[ast.Module, bool]] = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            if MIGRATIONS in path.parts:
                continue
            parts = path.relative_to(root).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if is_package else parts)
            text = path.read_text("utf-8")
            sources[name] = ast.parse(text), is_package
            tree.lines[name] = len(text.splitlines())
    for name, (module, is_package) in sources.items():
        tree.imports[name] = {
            target for target in _imported(module, name, sources, is_package=is_package)
            if target != name
        }  # fmt: skip
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                tree.functions.append((length, f"{name}.{node.name}"))
            elif isinstance(node, ast.ClassDef):
                tree.classes[node.name].append(name)
    return tree


def _imported(
    module: ast.Module, name: str, known: Collection[str], *, is_package: bool
) -> Iterator[str]:
    """Yield the known modules that a module imports, anywhere in its text."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _known(alias.name, known)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = name.split(".")
                package = package[: len(package) - node.level + (1 if is_package else 0)]
                base = ".".join([*package, *filter(None, [node.module])])
            for alias in node.names:
                yield from _known(f"{base}.{alias.name}", known)


def _known(target: str, known: Collection[str]) -> Iterator[str]:
    """Yield the longest prefix of a dotted name that is a module of the tree, if any."""
    while target:
        if target in known:
            yield target
            return
        target = target.rpartition(".")[0]


def rooms(tree: SourceTree, parent: str = "") -> dict[str, set[str]]:
    """Return the rooms directly below a package, or of all three, with the rooms each imports."""
    parents = [parent] if parent else list(PACKAGES)
    arrows: dict[str, set[str]] = {}
    for name, targets in tree.imports.items():
        room = _room(name, parents)
        if room is None:
            continue
        arrows.setdefault(room, set())
        for target in targets:
            other = _room(target, parents)
            if other is not None and other != room:
                arrows[room].add(other)
    return arrows


def _room(name: str, parents: Iterable[str]) -> str | None:
    for parent in parents:
        if name.startswith(f"{parent}."):
            return ".".join(name.split(".")[: parent.count(".") + 2])
    return None


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of rooms that import each other in a circle (Tarjan's components)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for target in sorted(arrows.get(node, ())):
            if target not in order:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], order[target])
        if low[node] == order[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in sorted(arrows):
        if node not in order:
            visit(node)
    return found


def floors(arrows: dict[str, set[str]]) -> int:
    """Return the length of the longest chain of imports between rooms; circles count once."""
    depth: dict[str, int] = {}

    def visit(node: str, above: frozenset[str]) -> int:
        if node not in depth:
            below = arrows.get(node, set()) - above - {node}
            depth[node] = 1 + max((visit(other, above | {node}) for other in below), default=0)
        return depth[node]

    return max((visit(node, frozenset()) for node in sorted(arrows)), default=0)


def upward(tree: SourceTree, root: Path) -> list[str]:
    """Return the imports against the layers that the checkout's contracts declare."""
    config = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    contracts = config.get("tool", {}).get("importlinter", {}).get("contracts", [])
    against: set[str] = set()
    for contract in contracts:
        if contract.get("type") != "layers":
            continue
        for container in contract.get("containers", [""]):
            against.update(_against(tree, container, contract["layers"]))
    return sorted(against)


def _against(tree: SourceTree, container: str, layers: list[str]) -> Iterator[str]:
    prefix = f"{container}." if container else ""
    floor = {
        f"{prefix}{name.strip(' ()')}": number
        for number, layer in enumerate(layers)
        for name in layer.replace(":", "|").split("|")
    }
    for name, targets in tree.imports.items():
        own = next((room for room in _above(name) if room in floor), None)
        for target in targets:
            other = next((room for room in _above(target) if room in floor), None)
            if own and other and own != other and floor[other] <= floor[own]:
                yield f"{name} -> {target}"


def _above(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition(".")[0]


def main(root: Path) -> None:
    """Print the structure of a checkout as tables of text."""
    tree = read(root)
    lengths = sorted((length for length, _ in tree.functions), reverse=True)
    print("part                       rooms  imports  floors  circles  lines")
    for parent in ("", *PACKAGES, "sidelight.store", "sidelight.fleet", "sidelight.advisories"):
        arrows = rooms(tree, parent)
        inside = sum(
            count for name, count in tree.lines.items()
            if not parent or name == parent or name.startswith(f"{parent}.")
        )  # fmt: skip
        if arrows:
            print(
                f"{parent or 'all three':25} {len(arrows):6} {sum(map(len, arrows.values())):8} "
                f"{floors(arrows):7} {len(circles(arrows)):8} {inside:6}"
            )
    against, modules = upward(tree, root), circles(tree.imports)
    print(f"imports against the layers: {len(against)}", *against, sep="\n  ")
    print(f"circles of modules: {len(modules)}", *map(" ".join, modules), sep="\n  ")
    twice = {name: homes for name, homes in tree.classes.items() if len(homes) > 1}
    print(f"class names that occur more than once: {len(twice)}")
    long = sorted(((count, name) for name, count in tree.lines.items()), reverse=True)
    print(
        f"modules: {len(long)}, of more than {LONG_MODULE} lines: "
        f"{sum(count > LONG_MODULE for count, _ in long)}"
    )
    _show(long)
    print(
        f"functions: {len(lengths)}, of more than {LONG_FUNCTION} lines: "
        f"{sum(length > LONG_FUNCTION for length in lengths)}"
    )
    _show(sorted(tree.functions, reverse=True))


def _show(rows: Iterable[tuple[int, str]]) -> None:
    for count, name in list(rows)[:SHOWN]:
        print(f"  {count:4} {name}")


if __name__ == "__main__":
    sys.setrecursionlimit(10_000)
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1])
