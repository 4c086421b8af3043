"""Whatever the code can say about a GPU stands in docs/gpu.md, where a person looks it up."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from auroramon import backends, cli
from tests.conftest import ROOT

NOT_OF_GPUS = ("inputs", "ONNX Runtime {} cannot load", "{} takes {} and gives {}", "{} ({} {}) {}", "%3d %%: %s",
               "TensorRT, or TensorRT for RTX")  # fmt: skip
"""A programmer's mistake, a damaged bundle, how far a task is, and the help of a flag."""

SAYS = {"info", "warning", "error", "append"}  # of a log, or of a list of reasons


def sentences(file: Path) -> Iterator[tuple[int, str]]:
    """Give the texts that a module raises, logs, returns or adds to its reasons, with {} for what varies."""
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Raise(exc=ast.expr() as inside) | ast.Return(value=ast.expr() as inside):
                yield from texts(inside)
            case ast.Call(func=ast.Attribute(attr=name), args=[*inside]) if name in SAYS:
                for one in inside:
                    yield from texts(one)


def texts(node: ast.AST) -> Iterator[tuple[int, str]]:
    match node:
        case ast.JoinedStr(values=parts):
            yield node.lineno, "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in parts)
        case ast.Constant(value=str() as text):
            yield node.lineno, text
        case _:
            for child in ast.iter_child_nodes(node):
                yield from texts(child)


def pieces(text: str) -> list[str]:
    """Give what does not vary in a text, where that is three words or more."""
    found = re.split(r"\{\}|%[a-z]|%\.\d[a-z]|[:;()]", text)
    return [" ".join(piece.split()) for piece in found if len(piece.split()) >= 3]


def modules() -> list[Path]:
    """List what speaks of GPUs: the backends, and the commands of `engine`."""
    commands = Path(str(cli.__file__)).parent
    return sorted([*Path(str(backends.__file__)).parent.glob("*.py"), *commands.glob("engine*.py")])


ALL = {
    f"{file.parent.name}/{file.name}:{line}": text
    for file in modules()
    for line, text in sentences(file)
    if pieces(text) and not text.startswith(NOT_OF_GPUS)
}


def test_there_are_messages() -> None:
    assert len(ALL) > 70
    assert {place.split(":")[0] for place in ALL} >= {"cli/engine.py", "cli/engine_parts.py", "backends/engine.py"}


@pytest.mark.parametrize("place", ALL)
def test_a_message_can_be_found_in_the_documentation(place: str) -> None:
    """By what is wrong, which it says first, as a whole and set as code: a remedy alone may stand anywhere."""
    section = (ROOT / "docs/gpu.md").read_text().partition("## What the messages mean")[2]
    quoted = [" ".join(found[2].split()) for found in re.finditer(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", section)]
    assert any(pieces(ALL[place])[0] in text for text in quoted), ALL[place]
