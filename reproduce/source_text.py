"""Read what a Python file defines from its text, so that the command line need not import anything heavy."""

from __future__ import annotations

import ast
import builtins
import importlib
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from reproduce.errors import InputError

# Modules that may be imported to evaluate part of a file: they import nothing heavy.
LIGHT = ("reproduce.errors", "reproduce.paper", "reproduce.reports.description")


@lru_cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def assigned(file: Path) -> dict[str, ast.expr]:
    """The names that are assigned at the top level of a file, with the expressions assigned to them."""
    found: dict[str, ast.expr] = {}
    for node in parsed(file).body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                found |= dict(_unpacked(target, node.value))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            found[node.target.id] = node.value
    return found


def _unpacked(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):  # a, b = 1, 2
        for one, part in zip(target.elts, value.elts, strict=True):
            yield from _unpacked(one, part)


def imported(file: Path) -> dict[str, tuple[str, str]]:
    """The names that a file imports, each with its module and its name there ("" for the module itself)."""
    found = {}
    for node in parsed(file).body:
        if isinstance(node, ast.Import):
            for one in node.names:
                found[one.asname or one.name] = one.name, ""
        elif isinstance(node, ast.ImportFrom):
            found |= {one.asname or one.name: (node.module or "", one.name) for one in node.names}
    return found


def classes(file: Path) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in parsed(file).body if isinstance(node, ast.ClassDef)}


def evaluate(file: Path, node: ast.expr) -> Any:
    """Evaluate an expression of a file, using the file's constants and its imports from light modules.

    Raises:
        InputError: the expression uses any other name.
    """
    scope: dict[str, Any] = {}
    for name in sorted(set(_names(node))):
        if name in assigned(file):
            scope[name] = evaluate(file, assigned(file)[name])
        elif name in imported(file):
            module, of = imported(file)[name]
            if module.startswith(LIGHT) or module.partition(".")[0] in sys.stdlib_module_names:
                scope[name] = _import(module, of)
    try:
        return eval(compile(ast.Expression(node), str(file), "eval"), {"__builtins__": builtins, **scope})
    except NameError as error:
        raise unreadable(file, node, str(error)) from error


def unreadable(file: Path, node: ast.AST, why: str) -> InputError:
    line = getattr(node, "lineno", 1)
    return InputError(
        f"{file}:{line}: {why}; the command line reads this from the file's text, so use literals, constants of the "
        f"file, the standard library or {', '.join(LIGHT)}"
    )


def _names(node: ast.expr) -> Iterator[str]:
    return (one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load))


def _import(module: str, name: str) -> Any:
    there = importlib.import_module(module)
    if not name:
        return there
    return getattr(there, name) if hasattr(there, name) else importlib.import_module(f"{module}.{name}")
