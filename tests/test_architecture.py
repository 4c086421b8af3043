"""The layers of ARCHITECTURE.md: a module imports only from layers above it, and serving imports nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "auroramon"

LAYERS: tuple[tuple[str, ...], ...] = (
    ("types", "errors"),
    ("ports", "resample", "preprocess", "config", "mistakes", "cores", "sim"),
    (
        "times",
        "places",
        "disc",
        "gates",
        "lines",
        "masks",
        "preview",
        "bundle",
        "bundle_writing",
        "heads",
        "borders",
        "sky",
        "cameras",
        "events",
    ),
    ("readers", "backends", "sources", "store", "executors"),
    ("metrics", "drafts", "labeller", "archive", "cursor", "readahead", "fit", "adapt", "gain"),
    (
        "coordinator",
        "server",
        "service",
        "pulse",
        "notify",
        "backfill",
        "relabel",
        "refit",
        "review",
        "review_queue",
        "comparison",
        "shelf",
        "assemble",
        "plots",
        "survey",
        "checkup",
        "doctor",
        "toml_text",
        "reference",
        "demo",
        "care",
        "publish",
        "herald",
    ),
    ("cli", "__main__"),
)
"""From what imports nothing to what imports everything; within a layer, modules may import each other."""

HEAVY = ("torch", "torchvision", "timm", "sklearn", "scipy", "cv2", "train")
OPTIONAL = (
    "astropy",
    "h5py",
    "cdflib",
    "matplotlib",
    "psycopg",
    "paho",
    "distributed",
    "tensorrt",
    "tensorrt_rtx",
    "cuda",
    "onnx",
)


def layer_of(module: str) -> int | None:
    top = module.split(".")[1] if "." in module else ""
    return next((number for number, names in enumerate(LAYERS) if top in names), None)


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if "migrations" not in path.parts]


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            if node.module == "auroramon":
                found |= {f"auroramon.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_layers_above_it(path: Path) -> None:
    name = "auroramon." + str(path.relative_to(PACKAGE).with_suffix("")).replace("/", ".")
    if name == "auroramon.__init__":
        return
    own = layer_of(name)
    assert own is not None, f"{name} stands in no layer: add it to LAYERS and to ARCHITECTURE.md"
    for imported in imports(path):
        if imported.startswith("auroramon.") and layer_of(imported) is not None:
            other = layer_of(imported)
            assert other is not None
            assert other <= own, f"{name} (layer {own}) imports {imported} (layer {other})"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_fit_imports_what_training_needs(path: Path) -> None:
    if path.name == "fit.py":
        return
    assert not {name for name in imports(path) if name.split(".")[0] in HEAVY}


def test_a_daemon_starts_without_training_libraries_and_optional_formats() -> None:
    code = (
        "import sys\n"
        "import auroramon.cli.run, auroramon.cli.backfill, auroramon.service, auroramon.assemble, auroramon.archive\n"
        "import auroramon.executors.pool, auroramon.server, auroramon.coordinator, auroramon.backfill\n"
        f"loaded = sorted({{name.split('.')[0] for name in sys.modules}} & set({(*HEAVY, *OPTIONAL)!r}))\n"
        "print(*loaded)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_except_exception_stands_once() -> None:
    places = [
        str(path.relative_to(PACKAGE))
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "Exception"))
    ]
    assert places == ["executors/inline.py"]
