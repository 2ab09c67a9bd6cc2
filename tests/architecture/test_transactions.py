"""Work inside a transaction stays on its connection.

A method that is given an open transaction and takes a second connection from the pool waits for
ever once every connection is lent to somebody who does the same.
"""

import ast
from collections.abc import Iterator

from tests.support.tree import ROOT

TRANSACTIONS = {"tx", "publication", "uow"}
POOL = "_db"

Function = ast.FunctionDef | ast.AsyncFunctionDef


def classes() -> Iterator[tuple[str, ast.ClassDef]]:
    for path in sorted((ROOT / "leadflood" / "domain").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield str(path.relative_to(ROOT)), node


def is_given_a_transaction(method: Function) -> bool:
    """Whether a parameter is an open transaction; `tx: Tx | None` may be none."""
    return any(
        argument.arg in TRANSACTIONS
        and not ast.unparse(argument.annotation or method).endswith("None")
        for argument in (*method.args.args, *method.args.kwonlyargs)
    )


def uses_pool(method: Function) -> bool:
    return any(
        isinstance(node, ast.Attribute) and ast.unparse(node) == f"self.{POOL}"
        for node in ast.walk(method)
    )


def calls_without_transaction(method: Function) -> set[str]:
    """List the methods of the same object that are called without the transaction."""
    return {
        node.func.attr
        for node in ast.walk(method)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func.value) == "self"
        and not TRANSACTIONS & {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
    }


def second_connections(owner: ast.ClassDef) -> Iterator[str]:
    methods = {node.name: node for node in owner.body if isinstance(node, Function)}
    for method in methods.values():
        if not is_given_a_transaction(method):
            continue
        if uses_pool(method):
            yield method.name
        for name in calls_without_transaction(method) & methods.keys():
            if uses_pool(methods[name]):
                yield f"{method.name} by {name}"


def test_a_method_given_a_transaction_takes_no_second_connection() -> None:
    found = [
        f"{path}: {owner.name}.{name}"
        for path, owner in classes()
        for name in second_connections(owner)
    ]

    assert found == []


def test_a_second_connection_would_be_found() -> None:
    source = """
class Service:
    async def direct(self, tx: Tx) -> None:
        await self._db.fetch(SQL.x)
    async def indirect(self, uow: UnitOfWork) -> None:
        await self.read()
    async def fine(self, tx: Tx) -> None:
        await self.read_in(tx)
    async def read(self) -> None:
        await self._db.fetch(SQL.x)
    async def read_in(self, tx: Tx | None = None) -> None:
        await (tx or self._db).fetch(SQL.x)
"""
    [owner] = ast.parse(source).body
    assert isinstance(owner, ast.ClassDef)

    assert list(second_connections(owner)) == ["direct", "indirect by read"]
