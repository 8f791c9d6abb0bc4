"""The order of the packages: a later one may import an earlier one, never the other way round; importing costs nothing."""

import ast
import subprocess
import sys
import tomllib
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ORDER = (
    "errors",
    "account",
    "lock",
    "artefact",
    "settings",
    "settings_table",
    "progress",
    "tables",
    "work",
    "runner",
    "devices",
    "speed",
    "networks",
    "formats",
    "zoos",
    "training",
    "model",
    "embeddings",
    "evaluation",
    "report",
    "map",
    "parts",
    "run_settings",
    "pipeline",
    "series",
    "outlook",
    "likeness",
    "notebook",
    "card",
    "hub",
    "examples",
    "domains",
    "studies",
)
KNOWN_EXCEPTIONS = {}
"""Files that still import a later package, with which. An entry that is no longer needed fails, so that this only shrinks."""

HEAVY = {
    "torch",
    "numba",
    "umap",
    "sklearn",
    "scipy",
    "matplotlib",
    "pandas",
    "pyarrow",
    "numpy",
    "pydantic",
    "yaml",
    "rich",
    "huggingface_hub",
    "safetensors",
    "jinja2",
    "onnx",
    "joblib",
    "ray",
}
LIGHT_MODULES = ("__init__", "errors", "lock", "artefact", "progress")
LIBRARY = sorted((ROOT / "metarep").rglob("*.py"))
FILES = LIBRARY + sorted((ROOT / "cli").rglob("*.py"))


def name_of(file: Path) -> str:
    """A file's path in the checkout."""
    return file.relative_to(ROOT).as_posix()


@cache
def tree_of(file: Path) -> ast.Module:
    """The syntax of a file."""
    return ast.parse(file.read_text())


@cache
def imported(file: Path, *, everywhere: bool) -> set[str]:
    """Dotted names that a file imports; at its head only unless `everywhere`."""
    tree, names = tree_of(file), set()
    for node in ast.walk(tree) if everywhere else _head(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            names.add("relative import")
    return names


def _head(tree: ast.Module) -> list[ast.stmt]:
    return [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]


def package_of(file: Path) -> str:
    """The package, or the module beside the packages, that a file of the library belongs to."""
    return file.relative_to(ROOT / "metarep").parts[0].removesuffix(".py")


def packages_imported(file: Path) -> set[str]:
    """Other packages of ours that a file imports, anywhere in it; without the version."""
    names = imported(file, everywhere=True)
    return {name.split(".")[1] for name in names if name.startswith("metarep.")} - {package_of(file), "__version__"}


def exceptions_of(file: Path) -> set[str]:
    """The later packages that a file is known to import."""
    return KNOWN_EXCEPTIONS.get(file.relative_to(ROOT / "metarep").as_posix(), set())


def test_packages_import_only_earlier_ones():
    for file in LIBRARY:
        own = package_of(file)
        earlier = set(ORDER[: ORDER.index(own)] if own in ORDER else ())
        assert packages_imported(file) - earlier == exceptions_of(file), name_of(file)
        roots = {name.split(".")[0] for name in imported(file, everywhere=True)}
        assert not roots & {"cli", "metarep_cli", "relative import"}, name_of(file)


def test_exceptions_are_files():
    assert not [name for name in KNOWN_EXCEPTIONS if not (ROOT / "metarep" / name).is_file()]


def test_the_graph_of_packages_has_no_circle():
    graph: dict[str, set[str]] = {}
    for file in LIBRARY:
        graph.setdefault(package_of(file), set()).update(packages_imported(file) - exceptions_of(file))
    assert len(list(TopologicalSorter(graph).static_order())) >= len(graph)  # CycleError where there is a circle


def module_of(file: Path) -> str:
    """A file's dotted name."""
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_the_graph_of_modules_has_no_circle():
    known = {module_of(file) for file in LIBRARY}
    graph = {module_of(file): modules_imported(file, known) - {module_of(file), "metarep"} for file in LIBRARY}
    assert set(TopologicalSorter(graph).static_order()) >= known  # CycleError where there is a circle


def modules_imported(file: Path, known: set[str]) -> set[str]:
    """Our modules that a file imports, at its head or in functions; what only type checkers see does not count."""
    tree, seen = tree_of(file), set()
    checked = {id(n) for one in ast.walk(tree) if is_for_type_checkers(one) for n in ast.walk(one)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and id(node) not in checked:
            seen |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
        elif isinstance(node, ast.Import) and id(node) not in checked:
            seen |= {alias.name for alias in node.names}
    return {name for name in seen if name in known and name.rpartition(".")[0]}


def is_for_type_checkers(node: ast.AST) -> bool:
    """Whether a node is `if TYPE_CHECKING:`."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def test_the_wheel_has_every_package():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {file.parent.relative_to(ROOT).as_posix().replace("/", ".") for file in LIBRARY if file.name == "__init__.py"}
    assert set(listed) == found | {"metarep_cli"}


def test_the_ast_walk_sees_a_forbidden_import(tmp_path):
    file = tmp_path / "x.py"
    file.write_text("def f():\n    from metarep.report.page import report\n")
    assert imported(file, everywhere=True) == {"metarep.report.page.report"}
    assert imported(file, everywhere=False) == set()


def test_heads_of_light_modules_are_light():
    for file in FILES:
        light = file.is_relative_to(ROOT / "cli") or (file.parent == ROOT / "metarep" and file.stem in LIGHT_MODULES)
        if light:
            assert not {name.split(".")[0] for name in imported(file, everywhere=False)} & HEAVY, name_of(file)


def test_files_are_short_and_speak_only_through_progress():
    for file in FILES:
        assert len(file.read_text().splitlines()) < 400, name_of(file)
        assert not file.stem.startswith(("utils", "common", "helpers")), name_of(file)
        calls = [n for n in ast.walk(tree_of(file)) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
        assert "print" not in {call.func.id for call in calls}, name_of(file)


def test_a_class_name_means_one_thing():
    names = [node.name for file in FILES for node in tree_of(file).body if isinstance(node, ast.ClassDef)]
    assert {name for name in names if names.count(name) > 1} == set()


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
