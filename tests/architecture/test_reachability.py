"""What nobody can reach is not there: each verb of the domain is called by something that runs."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.support.tree import PACKAGE, name_of, sources

NO_VERBS = {"schemas", "repository", "rules"}
"""Modules of values, rows and pure functions."""
NO_SERVICES = {"Struct", "Protocol", "StrEnum", "Exception", "Stage"}
"""Bases of what holds values, or is called by the engine."""
FOR_LATER = {
    "leadflood/domain/enrichment/repository.py: list_stats",
    "leadflood/domain/features/repository.py: find_snapshots",
}
"""Reads what is kept already for what comes later: the order of providers, and training."""

TREES = {path: ast.parse(path.read_text("utf-8")) for path in sources(PACKAGE)}
Known = tuple[Path | None, str]
"""A name in one file, or (None) in all."""
Functions = ast.FunctionDef | ast.AsyncFunctionDef


class Binding(NamedTuple):
    """A name and what it is; a variable is known in its own file only."""

    path: Path
    name: str
    kind: str
    is_variable: bool = False


def terminal(node: ast.AST | None) -> str:
    """Name what an expression ends in: `node.storage.scores` and `scores_of(x)` by their last."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Constant(value=str() as name):
            return name
        case ast.Call(func=inner) | ast.Await(value=inner) | ast.Subscript(value=inner):
            return terminal(inner)
        case ast.ListComp(elt=inner):
            return terminal(inner)
        case _:
            return ""


def parts_of(annotation: ast.AST | None) -> set[str]:
    """List the classes that an annotation names, in brackets and in quotes too."""
    return {terminal(node) for node in ast.walk(annotation)} if annotation else set()


def bindings(path: Path, tree: ast.Module) -> Iterator[Binding]:
    """List annotations, answers of functions, assignments and loops."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(returns=kind) | ast.AsyncFunctionDef(returns=kind):
                yield from (Binding(path, node.name, one) for one in parts_of(kind))
            case ast.arg(annotation=kind):
                yield from (
                    Binding(path, node.arg, one, is_variable=True) for one in parts_of(kind)
                )
            case ast.AnnAssign(target=target, annotation=kind):
                yield from (Binding(path, terminal(target), one) for one in parts_of(kind))
            case ast.Assign(targets=[target], value=value):
                yield from mapped(path, target, value)
                yield from assigned(path, target, value)
            case ast.comprehension(target=target, iter=value) | ast.For(target=target, iter=value):
                yield from assigned(path, target, value)
            case ast.withitem(context_expr=value, optional_vars=ast.Name() as target):
                yield from assigned(path, target, value)
            case _:
                pass


def mapped(path: Path, target: ast.expr, value: ast.expr) -> Iterator[Binding]:
    """`evaluators = tuple(map(RuleEvaluator, rules))` holds evaluators."""
    for node in ast.walk(value):
        if isinstance(node, ast.Call) and terminal(node.func) == "map":
            yield Binding(path, terminal(target), terminal(node.args[0]))


def assigned(path: Path, target: ast.expr, value: ast.expr) -> Iterator[Binding]:
    if isinstance(target, ast.Tuple):
        for name, part in zip(target.elts, values_of(value), strict=False):
            yield from assigned(path, name, part)
    else:
        yield Binding(path, terminal(target), terminal(value), isinstance(target, ast.Name))


def values_of(value: ast.expr) -> list[ast.expr]:
    """List what a tuple of names takes: the parts of a tuple, what `zip` and `enumerate` go by."""
    match value:
        case ast.Tuple(elts=parts) | ast.Call(func=ast.Name(id="zip"), args=parts):
            return parts
        case ast.Call(func=ast.Name(id="enumerate"), args=[rest, *_]):
            return [ast.Constant(0), *([ast.Tuple(values_of(rest))] if values_of(rest) else [rest])]
        case _:
            return []


def holders(by_kind: Mapping[str, list[Binding]], kinds: list[str]) -> set[Known]:
    """List the names under which the tree holds one of these classes."""
    found: set[Known] = set()
    ahead: list[Known] = [(None, kind) for kind in kinds]
    while ahead:
        if (known := ahead.pop()) not in found:
            found.add(known)
            path, name = known
            ahead += [
                (one.path if one.is_variable else None, one.name)
                for one in by_kind.get(name, ())
                if path in {None, one.path}
            ]
    return found


def reads(trees: Mapping[Path, ast.Module]) -> set[tuple[Path, str, str]]:
    """List (file, receiver, attribute) of everything that is read of something else than self."""
    return {
        (path, receiver, node.attr)
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        if (receiver := terminal(node.value)) not in {"", "self"}
    }


def protocols(trees: Mapping[Path, ast.Module]) -> dict[str, set[str]]:
    """List the verbs of each Protocol: who holds one may hold any class that has them all."""
    return {
        node.name: set(verbs(node))
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and "Protocol" in map(terminal, node.bases)
    }


def verbs(klass: ast.ClassDef) -> list[str]:
    names = [node.name for node in klass.body if isinstance(node, Functions)]
    return [name for name in names if not name.startswith("_")]


def services(trees: Mapping[Path, ast.Module]) -> Iterator[tuple[Path, ast.ClassDef]]:
    for path, tree in trees.items():
        kinds = {path.stem.rpartition("_")[2], path.parent.name}
        if "domain" in path.parts and not kinds & NO_VERBS:
            for node in tree.body:
                if isinstance(node, ast.ClassDef) and is_service(node):
                    yield path, node


def is_service(klass: ast.ClassDef) -> bool:
    return not klass.name.startswith("_") and NO_SERVICES.isdisjoint(map(terminal, klass.bases))


def unreached(trees: Mapping[Path, ast.Module]) -> list[str]:
    by_kind: dict[str, list[Binding]] = {}
    for one in {one for path, tree in trees.items() for one in bindings(path, tree) if one.kind}:
        by_kind.setdefault(one.kind, []).append(one)
    called: dict[str, set[tuple[Path, str]]] = {}
    for path, receiver, attribute in reads(trees):
        called.setdefault(attribute, set()).add((path, receiver))
    ports = protocols(trees)
    lost = []
    for home, klass in services(trees):
        names = verbs(klass)
        fitting = [port for port, asked in ports.items() if asked and asked <= set(names)]
        held = holders(by_kind, [klass.name, *fitting])
        called_outside = {
            name
            for name in names
            for path, receiver in called.get(name, ())
            if (None, receiver) in held or (path, receiver) in held
        }
        reached = with_own_calls(klass, called_outside)
        lost += [f"{name_of(home)}: {klass.name}.{name}" for name in names if name not in reached]
    return lost


def with_own_calls(klass: ast.ClassDef, reached: set[str]) -> set[str]:
    """Add the verbs that reached ones, and the dunders, call of their own object."""
    uses = {
        node.name: {
            part.attr
            for part in ast.walk(node)
            if isinstance(part, ast.Attribute) and terminal(part.value) == "self"
        }
        for node in klass.body
        if isinstance(node, Functions)
    }
    ahead = [*reached, *(name for name in uses if name.startswith("__"))]
    while ahead:
        more = uses.get(ahead.pop(), set()) - reached
        reached |= more
        ahead += more
    return reached


def unused(trees: Mapping[Path, ast.Module]) -> list[str]:
    """List the functions of domain modules that nothing in the tree names."""
    named, modules = set(), set()
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                named |= {(node.module, alias.name) for alias in node.names}
                modules |= {
                    (path, alias.asname or alias.name, f"{node.module}.{alias.name}")
                    for alias in node.names
                }
            elif isinstance(node, ast.Name):
                named.add((module_of(path), node.id))
    attributes: dict[tuple[Path, str], set[str]] = {}
    for path, receiver, attribute in reads(trees):
        attributes.setdefault((path, receiver), set()).add(attribute)
    for path, alias, module in modules:
        named |= {(module, name) for name in attributes.get((path, alias), ())}
    return [
        f"{name_of(path)}: {node.name}"
        for path, tree in trees.items()
        if "domain" in path.parts
        for node in tree.body
        if isinstance(node, Functions) and not node.name.startswith("_")
        if (module_of(path), node.name) not in named
    ]


def module_of(path: Path) -> str:
    return name_of(path).removesuffix(".py").replace("/", ".")


def test_every_verb_of_the_domain_is_called() -> None:
    assert not unreached(TREES)


def test_every_function_of_the_domain_is_named_somewhere() -> None:
    assert set(unused(TREES)) == FOR_LATER


@pytest.mark.parametrize(
    ("caller", "lost"),
    [
        ("def f(node):\n    node.leads.create()", ["Leads.delete"]),
        ("def f(leads: Leads):\n    leads.create()\n    leads.delete()", []),
        ("def f(runs):\n    runs.create()", ["Leads.create", "Leads.delete"]),
        ("def leads_of(x) -> Leads: ...\nleads_of(1).create()", ["Leads.delete"]),
    ],
)
def test_a_verb_counts_as_called_only_on_what_holds_its_class(caller: str, lost: list[str]) -> None:
    service = "class Leads:\n    def create(self): ...\n    def delete(self): self.create()\n"
    wiring = "class Node:\n    def __init__(self):\n        self.leads = Leads()\n"
    trees = {
        PACKAGE / "domain" / "x" / "service.py": ast.parse(service),
        PACKAGE / "app.py": ast.parse(wiring),
        PACKAGE / "api" / "x.py": ast.parse(caller),
    }

    assert [line.split(": ")[1] for line in unreached(trees)] == lost
