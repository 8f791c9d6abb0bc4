"""The READMEs keep what they promise: their length, their links, the commands and the modules that they name."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "results/README.md", "metarep/README.md", "configs/README.md")
PACKAGES = sorted(path.parent for path in (ROOT / "metarep").glob("*/__init__.py"))


@pytest.mark.parametrize("page", PAGES)
def test_no_line_is_longer_than_120_characters(page):
    too_long = [line for line in text_of(page).splitlines() if len(line) > 120]
    assert not too_long


def test_the_readme_has_at_most_200_lines():
    assert len(text_of("README.md").splitlines()) <= 200


@pytest.mark.parametrize("page", PAGES)
def test_every_linked_file_exists(page):
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page))]
    local = [target for target in targets if target and not target.startswith(("http://", "https://"))]
    missing = [target for target in local if not (ROOT / page).parent.joinpath(target).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES)
def test_every_command_exists(page):
    from metarep_cli.app import app
    from typer.main import get_command

    known = set(get_command(app).commands)
    text = text_of(page)
    shell = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL))
    named = {*re.findall(r"`metarep ([A-Za-z-]+)", text), *re.findall(r"^metarep ([A-Za-z-]+)", shell, flags=re.MULTILINE)}
    assert named <= known


@pytest.mark.parametrize("page", [page for page in PAGES if page != "metarep/README.md"])
def test_every_command_can_be_given(page):
    """Its arguments are parsed and its settings read; nothing is run. tests/test_pages.py runs those of metarep/README.md."""
    from metarep_cli.app import app
    from metarep_cli.settings_help import settings_class
    from typer.main import get_command

    from metarep.settings import load_config

    shell = "\n".join(re.findall(r"^```sh\n(.*?)^```", text_of(page), flags=re.MULTILINE | re.DOTALL))
    for line in re.findall(r"^metarep (.*)", shell, flags=re.MULTILINE):
        name, *words = shlex.split(line, comments=True)
        command = get_command(app).commands[name]
        if "--kinds" in words:
            continue  # lists and ends
        given = command.make_context(name, words).params
        if given.get("overrides"):
            load_config(settings_class(command.settings), None, list(given["overrides"]))


def test_every_module_has_a_line():
    listed = set(re.findall(r"^- `([^`]+)`:", text_of("metarep/README.md"), flags=re.MULTILINE))
    assert not [module for module in modules() if not has_a_line(module, listed)]


def test_every_line_is_of_a_module():
    listed = re.findall(r"^- `([^`]+)`:", text_of("metarep/README.md"), flags=re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert not [path for path in listed if not (ROOT / "metarep" / path).exists()]


def test_every_config_has_a_line():
    listed = set(re.findall(r"^\| \[`([^`]+)`\]", text_of("configs/README.md"), flags=re.MULTILINE))
    assert listed == {str(path.relative_to(ROOT / "configs")) for path in (ROOT / "configs").rglob("*.yaml")}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_every_package_says_what_it_holds(package):
    assert (package / "__init__.py").read_text(encoding="utf-8").startswith('"""')


def text_of(page: str) -> str:
    """The text of a page, by its path from the root."""
    return (ROOT / page).read_text(encoding="utf-8")


def modules() -> list[str]:
    """Every module of the library by its path below `metarep`, packages' own files left out."""
    paths = (path.relative_to(ROOT / "metarep").as_posix() for path in (ROOT / "metarep").rglob("*.py"))
    return sorted(path for path in paths if not path.endswith("__init__.py"))


def has_a_line(module: str, listed: set[str]) -> bool:
    """Whether a module is listed itself, or the folder of the study that it belongs to."""
    folder = module.rpartition("/")[0] + "/"
    return module in listed or (folder.startswith("studies/") and folder in listed)
