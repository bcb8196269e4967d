"""Whether a regular expression's search may cost more than its input is long.

An expression becomes a graph of its characters (Glushkov's construction). Where two different ways
through it read the same text and come back to the same place, a backtracking matcher tries
exponentially many; where two loops, one reachable from the other, read the same text, it tries at
least quadratically many (Weber and Seidl, "On the degree of ambiguity of finite automata").
A possessive repetition of one character class is left only by a character that is not of the class.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib import import_module
from itertools import product
from typing import Any

# Python's own parser of expressions. By name: type checkers know no such part of `re`, or do.
sre: Any = import_module("re._constants")
_parser: Any = import_module("re._parser")
# Characters that stand for all: one of each class that expressions here distinguish.
_SAMPLE = [chr(code) for code in range(128)] + ["\xa0", "\xe9", "\u0661", "\u2028", "\ud800"]
Chars = frozenset[str]
_ALL: Chars = frozenset(_SAMPLE)
_MAX_COPIES = 2  # of what a counted repetition repeats: enough to know what follows what
LOOPING = 16  # repetitions of which the most is larger count as endless


@dataclass
class Graph:
    """The places of an expression: the characters of each, and which may follow it."""

    chars: list[Chars] = field(default_factory=list)
    follow: list[set[tuple[int, Chars]]] = field(default_factory=list)

    def add(self, chars: Chars) -> int:
        """A new place."""
        self.chars.append(chars)
        self.follow.append(set())
        return len(self.chars) - 1

    def steps(self, place: int) -> list[tuple[int, Chars]]:
        """Places that may be next, each with the characters that lead there."""
        found: dict[int, Chars] = {}
        for target, allowed in self.follow[place]:
            found[target] = found.get(target, frozenset()) | (self.chars[target] & allowed)
        return [(target, chars) for target, chars in found.items() if chars]


@dataclass
class _Part:
    """A part of an expression: where it may begin and end, and whether it may be empty."""

    first: set[tuple[int, Chars]]
    last: set[tuple[int, Chars]]  # with the characters by which each may be left
    empty: bool
    gate: Chars = _ALL  # what may follow where the part is empty


def graph_of(pattern: str | bytes, flags: int = 0) -> tuple[Graph, _Part]:
    """The graph of an expression."""
    tree = _parser.parse(pattern, flags)
    graph = Graph()
    return graph, _sequence(graph, tree, tree.state.flags | flags)


def _sequence(graph: Graph, tree: Any, flags: int) -> _Part:
    result = _Part(set(), set(), True)
    for operation, argument in tree:
        result = _join(graph, result, _one(graph, operation, argument, flags))
    return result


def _join(graph: Graph, left: _Part, right: _Part) -> _Part:
    for (end, leave), (start, enter) in product(left.last, right.first):
        graph.follow[end].add((start, leave & enter))
    first = set(left.first)
    if left.empty:
        first |= {(place, enter & left.gate) for place, enter in right.first}
    last = set(right.last)
    if right.empty:
        last |= {(place, leave & right.gate) for place, leave in left.last}
    return _Part(first, last, left.empty and right.empty, left.gate & right.gate)


def _one(graph: Graph, operation: Any, argument: Any, flags: int) -> _Part:
    if operation in {sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN}:
        place = graph.add(_chars(operation, argument, flags))
        return _Part({(place, _ALL)}, {(place, _ALL)}, False)
    if operation is sre.BRANCH:
        parts = [_sequence(graph, branch, flags) for branch in argument[1]]
        first = set().union(*(part.first for part in parts))
        last = set().union(*(part.last for part in parts))
        return _Part(first, last, any(part.empty for part in parts))
    if operation is sre.SUBPATTERN:
        return _sequence(graph, argument[3], flags | argument[1])
    if operation is sre.ATOMIC_GROUP:
        return _sequence(graph, argument, flags)
    if operation in {sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT}:
        return _repeat(graph, operation, argument, flags)
    if operation in {sre.AT, sre.ASSERT, sre.ASSERT_NOT}:
        return _Part(set(), set(), True)  # they read nothing; without them more is possible
    raise NotImplementedError(f"{operation} in a regular expression")


def _repeat(graph: Graph, operation: Any, argument: Any, flags: int) -> _Part:
    least, most, body = argument
    is_endless = most is sre.MAXREPEAT or most > LOOPING
    result = _Part(set(), set(), True)
    for _ in range(min(least, _MAX_COPIES)):
        result = _join(graph, result, _sequence(graph, body, flags))
    more = _sequence(graph, body, flags)
    if is_endless:
        for (end, leave), (start, enter) in product(more.last, more.first):
            graph.follow[end].add((start, leave & enter))
    if operation is sre.POSSESSIVE_REPEAT and len(body) == 1 and body[0][0] in _SINGLE:
        others = _ALL - _chars(body[0][0], body[0][1], flags)
        more = _Part(more.first, {(place, others) for place, _ in more.last}, True, others)
    else:
        more = _Part(more.first, more.last, True)
    return _join(graph, result, more) if most != least else result


_SINGLE = frozenset((sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN))


def _chars(operation: Any, argument: Any, flags: int) -> Chars:
    if operation is sre.ANY:
        return _ALL if flags & re.DOTALL else _ALL - {"\n"}
    if operation in {sre.LITERAL, sre.NOT_LITERAL}:
        found = {chr(argument)}
        if flags & re.IGNORECASE:
            found |= {chr(argument).lower(), chr(argument).upper()}
        return frozenset(found) if operation is sre.LITERAL else _ALL - found
    items = [item for item in argument if item[0] is not sre.NEGATE]
    found = {char for char in _SAMPLE if any(_within(char, item, flags) for item in items)}
    return _ALL - found if len(items) < len(argument) else frozenset(found)


_CATEGORIES = {
    sre.CATEGORY_DIGIT: r"\d", sre.CATEGORY_NOT_DIGIT: r"\D", sre.CATEGORY_SPACE: r"\s",
    sre.CATEGORY_NOT_SPACE: r"\S", sre.CATEGORY_WORD: r"\w", sre.CATEGORY_NOT_WORD: r"\W",
}  # fmt: skip


def _within(char: str, item: tuple[Any, Any], flags: int) -> bool:
    kind, value = item
    if kind is sre.CATEGORY:
        return re.match(_CATEGORIES[value], char, flags & re.ASCII) is not None
    forms = {char, char.lower(), char.upper()} if flags & re.IGNORECASE else {char}
    if kind is sre.LITERAL:
        return any(ord(form) == value for form in forms if len(form) == 1)
    return any(value[0] <= ord(form) <= value[1] for form in forms if len(form) == 1)


def fault(pattern: str | bytes, flags: int = 0, *, search: bool = False) -> str:
    """`exponential`, `polynomial`, or empty. `search`: the match may begin anywhere.

    A search ends with the first match: a last repetition that nothing has to follow costs nothing.
    """
    graph, whole = graph_of(pattern, flags)
    harmless: set[int] = set()
    if search:
        harmless = {place for place, leave in whole.last if leave == _ALL}
        _begin_anywhere(graph, whole, _parser.parse(pattern, flags))
    steps = [graph.steps(place) for place in range(len(graph.chars))]
    reach = _reachable(steps)
    loops = [place for place in range(len(steps)) if place in reach[place]]
    if any(_two_ways_back(steps, reach, place) for place in loops):
        return "exponential"
    pairs = [(p, q) for p, q in product(loops, loops) if p != q and q in reach[p]]
    pairs = [(p, q) for p, q in pairs if q not in harmless]
    return "polynomial" if any(_shared_loop(steps, reach, p, q) for p, q in pairs) else ""


def _begin_anywhere(graph: Graph, whole: _Part, tree: Any) -> None:
    """Let anything come before; before `^` a line's end."""
    anywhere = graph.add(_ALL)
    graph.follow[anywhere].add((anywhere, _ALL))
    before = anywhere
    if len(tree) and tree[0] == (sre.AT, sre.AT_BEGINNING):
        before = graph.add(frozenset("\n"))
        graph.follow[anywhere].add((before, _ALL))
    graph.follow[before] |= whole.first


_Steps = list[list[tuple[int, Chars]]]


def _reachable(steps: _Steps) -> list[set[int]]:
    found = []
    for place in range(len(steps)):
        seen: set[int] = set()
        stack = [place]
        while stack:
            for target, _ in steps[stack.pop()]:
                if target not in seen:
                    seen.add(target)
                    stack.append(target)
        found.append(seen)
    return found


def _two_ways_back(steps: _Steps, reach: list[set[int]], place: int) -> bool:
    """Whether two different ways lead from a place back to it by the same text."""
    seen = {(place, place, False)}
    stack = [(place, place, False)]
    while stack:
        one, other, parted = stack.pop()
        for (a, chars), (b, more) in product(steps[one], steps[other]):
            if not chars & more or place not in reach[a] or place not in reach[b]:
                continue
            state = (a, b, parted or a != b)
            if state == (place, place, True):
                return True
            if state not in seen:
                seen.add(state)
                stack.append(state)
    return False


def _shared_loop(steps: _Steps, reach: list[set[int]], p: int, q: int) -> bool:
    """Whether one text leads from p to p, from p to q and from q to q."""
    start, goal = (p, p, q), (p, q, q)
    seen = {start}
    stack = [start]
    while stack:
        one, two, three = stack.pop()
        for (a, x), (b, y), (c, z) in product(steps[one], steps[two], steps[three]):
            if not x & y & z or p not in reach[a] or q not in reach[b] | {b}:
                continue
            if q not in reach[c]:
                continue
            state = (a, b, c)
            if state == goal:
                return True
            if state not in seen:
                seen.add(state)
                stack.append(state)
    return False


_CLASSES = frozenset((sre.LITERAL, sre.NOT_LITERAL, sre.IN, sre.ANY))


def has_possessive_group(pattern: str | bytes, flags: int = 0) -> bool:
    """Whether an expression repeats more than a class of characters possessively."""
    return _has_possessive_group(_parser.parse(pattern, flags))


def _has_possessive_group(tree: Any) -> bool:
    for operation, argument in tree:
        if operation is sre.ATOMIC_GROUP:
            return True
        if operation is sre.POSSESSIVE_REPEAT:
            repeated = argument[2]
            if len(repeated) != 1 or repeated[0][0] not in _CLASSES:
                return True
        if any(_has_possessive_group(part) for part in _parts(argument)):
            return True
    return False


def _parts(argument: Any) -> list[Any]:
    """The expressions within what an operation of Python's parser has."""
    if isinstance(argument, _parser.SubPattern):
        return [argument]
    if isinstance(argument, tuple | list):
        return [part for item in argument for part in _parts(item)]
    return []
