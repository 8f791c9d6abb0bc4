"""The order of the rooms: a later one may import an earlier one, never the other way round; importing costs nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("networks", "zoo", "cloze", "analysis", "report")
GROUND = {"errors", "artefact", "progress"}
"""Imported by everyone; `config` too, but it may itself look at `networks`."""
HEAVY = {
    "torch", "numba", "umap", "sklearn", "scipy", "matplotlib", "pandas", "pyarrow", "numpy", "pydantic", "yaml", "rich",
    "huggingface_hub", "safetensors", "jinja2",
}
LIGHT_MODULES = ("__init__", "errors", "artefact", "progress")
FILES = sorted((ROOT / "metarep").rglob("*.py")) + sorted((ROOT / "cli").rglob("*.py"))


def imported(file: Path, *, everywhere: bool) -> set[str]:
    """Dotted names that a file imports; at its head only unless `everywhere`."""
    tree = ast.parse(file.read_text())
    names = set()
    for node in ast.walk(tree) if everywhere else _head(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level and "metarep" in file.parts:
            names.add("relative import")
    return names


def _head(tree: ast.Module) -> list[ast.stmt]:
    return [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]


def rank(room: str) -> int:
    """How late a room or a top-level module comes."""
    if room in GROUND:
        return 0
    if room == "config":
        return 2
    if room in ROOMS:
        return (1, 3, 4, 5, 6)[ROOMS.index(room)]
    return 7


@pytest.mark.parametrize("file", [f for f in FILES if f.is_relative_to(ROOT / "metarep")], ids=lambda f: f.relative_to(ROOT).as_posix())
def test_rooms_import_only_earlier_ones(file):
    own = file.relative_to(ROOT / "metarep").parts[0].removesuffix(".py")
    names = imported(file, everywhere=True)
    assert not [n for n in names if n.startswith("metarep_cli") or n == "cli" or n.startswith("cli.")]
    for name in names:
        parts = name.split(".")
        if parts[0] == "metarep" and len(parts) > 1 and parts[1] not in (own, "__version__"):
            assert rank(parts[1]) < rank(own) or (own in ROOMS and parts[1] == "config"), f"{own} imports {name}"


def test_the_ast_walk_sees_a_forbidden_import(tmp_path):
    file = tmp_path / "x.py"
    file.write_text("def f():\n    from metarep.report.page import report\n")
    assert imported(file, everywhere=True) == {"metarep.report.page.report"}
    assert imported(file, everywhere=False) == set()


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.relative_to(ROOT).as_posix())
def test_heads_of_light_modules_are_light(file):
    light = file.is_relative_to(ROOT / "cli") or (file.parent == ROOT / "metarep" and file.stem in LIGHT_MODULES)
    if light:
        assert not {name.split(".")[0] for name in imported(file, everywhere=False)} & HEAVY


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.relative_to(ROOT).as_posix())
def test_files_are_short_and_speak_only_through_progress(file):
    text = file.read_text()
    assert len(text.splitlines()) < 400
    assert not file.stem.startswith(("utils", "common", "helpers"))
    calls = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    assert "print" not in {call.func.id for call in calls}


def test_importing_metarep_loads_nothing_heavy():
    code = "import sys, metarep; from metarep import errors, artefact, progress; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert not set(loaded) & HEAVY


def test_every_name_of_the_api_loads():
    import metarep

    for name in metarep.__all__:
        assert getattr(metarep, name) is not None
    assert set(metarep.__all__) <= set(dir(metarep))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = metarep.nonsense
