"""The pages of metarep/README.md: every command is run as it stands there, and every module that they show is made."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hub_stand_in import hub
from metarep_cli.app import app
from typer.testing import CliRunner

from metarep import examples
from metarep.embeddings import registry
from metarep.evaluation import baselines
from metarep.networks import forward_passes
from metarep.settings import load_config

README = Path(__file__).parent.parent / "metarep" / "README.md"
SMALL = ["pretrain.n_steps=2", "pretrain.d_model=16", "pretrain.n_layers=1", "pretrain.n_heads=2", "embed.parts=[network,unit]"]
SMALL += ["embeddings=[layers]", "untrained=[]", "without=[masked_r2,clusters,predictions,audit,parts,map,report]"]
"""What a run of a page is given besides, to end in a second."""


def pages():
    """{title: text} of the pages."""
    text = README.read_text(encoding="utf-8").partition("## How to\n")[2].partition("\n## Modules")[0]
    parts = re.split(r"^##+ (.*)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def blocks(page, language):
    """The blocks of a page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with checkpoints, a table of labels, and a run of them, which the pages speak of."""
    where = tmp_path_factory.mktemp("pages")
    (where / "checkpoints").mkdir()
    rng, names = np.random.default_rng(0), ["one", *(f"net{i}" for i in range(11))]
    for name in names:
        shapes = {"0.weight": (4, 3), "0.bias": (4,), "2.weight": (2, 4), "2.bias": (2,)}
        tensors = {key: torch.tensor(rng.normal(size=shape), dtype=torch.float32) for key, shape in shapes.items()}
        torch.save(tensors, where / "checkpoints" / f"{name}.pt")
    rows = "".join(f"{name},{i % 2},{4 + i % 3},{'ab'[i % 2]}\n" for i, name in enumerate(names))
    (where / "labels.csv").write_text("file,seed,width,task\n" + rows)
    (where / "architecture.yaml").write_text("activation: relu\n")
    np.savez(where / "nets.npz", **{key: value.numpy() for key, value in tensors.items()})
    given(where, "run checkpoints/ --out results/mine")
    return where


def given(where, command):
    """Gives a command in a folder, made small; it ends well."""
    words = shlex.split(command, comments=True)
    small = {"run": SMALL, "build-zoo": ["engine=torch"]}.get(words[0], [])  # which compiles nothing
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(where)
        result = CliRunner().invoke(app, [*words, *(part for one in small for part in ("--set", one))])
    assert result.exit_code == 0, f"{command}\n{result.output}"
    return result.stdout


@pytest.fixture
def registries(monkeypatch):
    """Copies of those that modules of the pages register with."""
    for module, name in ((registry, "KINDS"), (forward_passes, "BUILDERS"), (baselines, "BASELINES")):
        monkeypatch.setattr(module, name, dict(getattr(module, name)))


@pytest.mark.parametrize("title", pages())
def test_what_a_page_shows_can_be_done(title, place, tmp_path, registries, monkeypatch):
    shutil.copytree(place, tmp_path, dirs_exist_ok=True)
    page = pages()[title]
    for module in blocks(page, "python"):
        if "..." not in module:
            exec(module, {})
    monkeypatch.setattr(
        examples, "load_config", lambda cls, file: load_config(cls, file, [*SMALL[-3:], "embed.max_per_split=20"])
    )
    with hub() as server:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.address)
        monkeypatch.setenv("HF_TOKEN", "hf_none")
        for line in re.findall(r"^metarep (.*)", "\n".join(blocks(page, "sh")), flags=re.MULTILINE):
            if "--cluster" not in line:  # tests/test_work.py
                given(tmp_path, line)
