"""The card of a model: what it was trained on, its metrics, its limits; read off its artefacts, for whoever meets it first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from metarep.account import counted
from metarep.artefact import MANIFEST, Artefact, open_artefact
from metarep.model.pretraining import load_model
from metarep.tables import read_csv
from metarep.zoos.domain import domain_of
from metarep.zoos.zoo import open_zoo

HEAD = "---\nlibrary_name: metarep\ntags: [weight-space-learning, masked-modelling]\n---\n\n"
USE = """## Use

```python
import metarep

model = metarep.from_pretrained("{where}")
vectors = metarep.Embedder(model).fit_transform(["one.pt", "another.pt"])
```
"""
LIMITS = """## Limits

It was trained on the networks named above. Whether what it learned carries over to others is to be measured there: `metarep run
FOLDER --set pretrained=MODEL` compares it, on networks of your own, with weight statistics, imputers and an untrained model.
"""


def model_card(model: Path | str, *, name: str = "", where: str = "") -> str:
    """The card in Markdown. What the report of its run says stands in it where the model lies in a run.

    `name` is its title, by default its folder's; `where` is what `from_pretrained` is given, by default that folder.
    """
    artefact = open_artefact(model, "model")
    lines = [f"# {name or artefact.path.resolve().name}", "", *_facts(artefact), ""]
    findings = artefact.path.parent / "report" / "findings.md"
    if findings.is_file():
        lines += ["## Figures", "", findings.read_text(encoding="utf-8").strip(), ""]
    return HEAD + "\n".join(lines) + "\n" + USE.format(where=where or artefact.path) + "\n" + LIMITS


def _facts(artefact: Artefact) -> Iterator[str]:
    held, config = load_model(artefact.path), artefact.config
    n_weights = sum(one.numel() for one in held.parameters())
    yield (
        f"A transformer of {counted(n_weights, 'weight')} that predicts masked parameters of networks from the others: width "
        f"{config['d_model']}, {counted(config['n_layers'], 'block')}, objective {config['objective']}."
    )
    log = read_csv(artefact.path / "log.csv")
    best = min(log, key=lambda row: row["valid_loss"])
    metrics = ", ".join(f"{key.replace('_', ' ')} {best[key]:.3f}" for key in best if key not in ("step", "lr", "train_loss"))
    yield f"Trained for {counted(log[-1]['step'], 'step')}; the weights are those after step {best['step']:,}: {metrics}."
    yield ""
    for key in artefact.manifest["inputs"]:
        folder = artefact.input_path(key)
        if (folder / MANIFEST).is_file():
            yield from _zoo_facts(folder)


def _zoo_facts(folder: Path) -> Iterator[str]:
    zoo = open_zoo(folder)
    domain, splits = domain_of(zoo), Counter(zoo.split.tolist())
    what = f"Trained on: {domain.title}." if domain is not None else "Trained on networks that others made."
    counts = ", ".join(f"{splits[name]:,} {name}" for name in ("train", "valid", "test"))
    sizes = sorted({one.n_params for one in zoo.architectures})
    params = counted(sizes[0], "parameter") if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,} parameters"
    yield f"{what} {counted(len(zoo), 'network')} ({counts}) of {params}."
    if zoo.labels or zoo.properties:
        yield f"Known of each: {', '.join((*zoo.labels, *zoo.properties))}; the model was not shown any of it."
