"""Every sentence that a refusal says to a person is marked for translation where it is written."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
from typing import TypeAlias

import pytest

from tests.test_layout import PRODUCT, ROOT, python_files

# What is raised or answered with a sentence for a person: by name, where in the call the sentence stands.
SPEAK = {
    "AuthenticationFailed": 0,
    "ErrorDetail": 0,
    "NotFound": 0,
    "ParseError": 0,
    "PeriodWrong": 0,
    "PermissionDenied": 0,
    "Refused": 2,
    "UnableToChange": 1,
    "UnableToRefund": 1,
    "UnableToStart": 1,
    "Unreadable": 0,
    "Unwritable": 2,
    "ValidationError": 0,
    "Violation": 2,
    "Wrong": 2,
    "_Refusal": -1,
    "_problem": 2,
}
Functions: TypeAlias = dict[str, ast.FunctionDef]
MARKS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "pgettext"}
# Files whose sentences are none of a vendor's or a payer's, and why.
OTHERS = {
    "*/admin.py": "the back office has laws of its own",
    "*/admin/*": "the back office has laws of its own",
    "*/management/*": "who sits at a terminal reads English",
    "*_admin.py": "the back office has laws of its own",
    "*desk.py": "the back office has laws of its own",
    "merchants/seals.py": "an operator's journal says which seal is broken",
    "payments/sandbox/*": "the pretend wallet is a tool for programmers",
    "payments/verify_chain.py": "runs alone, without Django, at a terminal",
    "payments/settlement/*": "what is wrong with a provider's file is the operators' business",
    "payments/providers/*": "what is wrong with a provider's answer is the operators' business",
}


def spoken(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of every unmarked sentence in the calls of SPEAK, also by way of a variable or a function."""
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for scope in [tree, *functions.values()]:
        for call in ast.walk(scope):
            if isinstance(call, ast.Call) and (place := SPEAK.get(_name(call.func))) is not None:
                given = call.args[place : place + 1 or None] + [k.value for k in call.keywords if k.arg == "detail"]
                for sentence in given:
                    yield from _unmarked(sentence, scope, functions, frozenset())


def _unmarked(node: ast.expr, scope: ast.AST, functions: Functions, seen: frozenset[str]) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Constant | ast.JoinedStr):
        said = _text(node)
        if any(letter.isalpha() for letter in said):
            yield node.lineno, said
    for part, inside in _parts(node, scope, functions, seen):
        yield from _unmarked(part, inside, functions, seen | {_name(node)})


def _parts(
    node: ast.expr, scope: ast.AST, functions: Functions, seen: frozenset[str]
) -> Iterator[tuple[ast.expr, ast.AST]]:
    """What may be the sentence itself, and within which function."""
    if isinstance(node, ast.Name) and node.id not in seen:
        for made in ast.walk(scope):
            if isinstance(made, ast.Assign) and node.id in map(_name, made.targets):
                yield made.value, scope
    elif isinstance(node, ast.Call) and (name := _name(node.func)) not in MARKS | seen and name in functions:
        for answer in ast.walk(functions[name]):
            if isinstance(answer, ast.Return) and answer.value is not None:
                yield answer.value, functions[name]
    elif isinstance(node, ast.BinOp):
        yield node.left, scope
        if isinstance(node.op, ast.Add):
            yield node.right, scope
    elif isinstance(node, ast.IfExp):
        yield from ((node.body, scope), (node.orelse, scope))
    elif isinstance(node, ast.Dict | ast.List | ast.Tuple):
        yield from ((part, scope) for part in (node.values if isinstance(node, ast.Dict) else node.elts))


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        return _name(node.func)
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _text(node: ast.Constant | ast.JoinedStr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
    return node.value if isinstance(node.value, str) else ""


def test_every_sentence_of_a_refusal_is_marked() -> None:
    found = []
    for path in python_files(*PRODUCT):
        name = path.as_posix()
        if not any(fnmatch(name, pattern) for pattern in OTHERS):
            found += [f"{name}:{line}: {text}" for line, text in spoken(ast.parse((ROOT / path).read_text()))]
    assert sorted(set(found)) == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ('raise Refused(400, "code", "Plain.")', ["Plain."]),
        ('raise Refused(400, "code", _("Marked."))', []),
        ('raise Refused(400, "code", _("Of %(name)s.") % {"name": name})', []),
        ('raise Refused(400, "code", f"Of {name}.")', ["Of ."]),
        ('raise serializers.ValidationError({"name": ["Plain."]}, code="wrong")', ["Plain."]),
        ('def f():\n    told = "Plain."\n    raise Unwritable("code", "where", told)', ["Plain."]),
        ('def f():\n    raise PermissionDenied(g())\ndef g():\n    return "Plain." if x else _("Marked.")', ["Plain."]),
        ('raise _Refusal("code", _(TABLE[name]))', []),
        ("raise NotFound", []),
        ("raise Refused(refusal.status_code, refusal.code, refusal.detail)", []),
    ],
)
def test_the_law_sees_an_unmarked_sentence(code: str, said: list[str]) -> None:
    assert sorted({text for _line, text in spoken(ast.parse(code))}) == said
