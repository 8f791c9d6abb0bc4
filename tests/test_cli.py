"""The command as a user meets it: help, one-line errors, nothing changed by bad input, Ctrl-C."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from joblib.externals.loky.process_executor import TerminatedWorkerError
from typer.testing import CliRunner

from metarep.examples import HERE
from metarep.settings_table import groups_of

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = (
    "run",
    "build-zoo",
    "import",
    "export",
    "pretrain",
    "embed",
    "cluster",
    "transfer",
    "audit",
    "reconstruct",
    "ablations",
    "benchmark",
    "scan",
    "dynamics",
    "functions",
    "report",
    "map",
    "show",
    "info",
    "experiment",
    "bench zoo",
    "bench pretrain",
    "bench embed",
    "bench import",
    "bench cluster",
    "bench map",
)
SEEDED = (
    "run",
    "build-zoo",
    "pretrain",
    "embed",
    "cluster",
    "transfer",
    "audit",
    "reconstruct",
    "scan",
    "dynamics",
    "experiment",
    "bench zoo",
    "bench map",
)
CONFIGURED = (*SEEDED, "import", "predict", "functions", "report", "map")


def _app_module() -> str:
    """The installed command, or the checkout's where nothing is installed."""
    return "metarep_cli.app" if importlib.util.find_spec("metarep_cli") else "cli.app"


def invoke(*words: str):
    """Runs the command in this process; the result has exit_code, stdout and stderr."""
    return CliRunner().invoke(importlib.import_module(_app_module()).app, list(words))


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() if f.is_file() else b"" for f in sorted(folder.rglob("*"))}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A folder with a zoo of the three published networks and its config."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "zoo.yaml").write_text("families: [{variant: e09, seeds: [2813536937, 1316834517, 2935802616]}]\n")
    result = invoke("build-zoo", "--config", str(folder / "zoo.yaml"), "--out", str(folder / "zoo"), "--quiet")
    assert result.exit_code == 0, result.output
    return folder, result


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command):
    result = invoke(*command.split(), "--help")
    assert result.exit_code == 0
    assert f"metarep {command} " in result.stdout


@pytest.mark.parametrize("command", [one for one in COMMANDS if not one.startswith("bench") or one in SEEDED])
def test_commands_share_their_options(command):
    text = invoke(*command.split(), "--help").stdout
    for option in ("--out", "--quiet", "--overwrite"):
        assert option in text
    for option in ("--config", "--set") if command in CONFIGURED else ():
        assert option in text
    assert ("--seed " in text) == (command in (*SEEDED, "functions", "predict", "map"))


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("command", CONFIGURED)
def test_help_shows_every_setting_within_the_terminal(command, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    text = invoke(*command.split(), "--help").stdout
    _, shown = text.split("Settings, in a YAML file", 1)
    assert max(map(len, shown.splitlines())) <= width
    module, _, name = settings_class(command).partition(":")
    groups = groups_of(getattr(importlib.import_module(module), name))
    for title, rows in groups.items():
        assert f"{title}:" in shown
        assert {row.name for row in rows} <= set(shown.split())
        assert all(row.meaning for row in rows)


def settings_class(command: str) -> str:
    """The settings that a command shows, as "module:Class"."""
    app = importlib.import_module(_app_module())
    if command.startswith("bench "):
        return {"zoo": "metarep.training.bench:BenchConfig", "map": "metarep.map.bench:MapBenchConfig"}[command.split()[1]]
    return next(one.settings for one in app.COMMANDS if app.NAMES.get(one, one.__name__.replace("_", "-")) == command)


def test_kinds_of_embeddings_are_listed():
    lines = invoke("embed", "--kinds").stdout.splitlines()
    assert lines[0].split() == ["kind", "needs", "what"]
    assert {"states", "layers"} <= {line.split()[0] for line in lines}


def test_help_names_every_command_and_loads_nothing_heavy():
    code = (
        f"import sys; from {_app_module()} import app\n"
        "try: app(['--help'])\n"
        "except SystemExit as end: print(end.code, *sys.modules, file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    for command in COMMANDS:
        assert command.split()[0] in result.stdout
    code, *modules = result.stderr.split()
    assert code == "0"
    assert not set(modules) & {"torch", "numba", "numpy", "sklearn", "umap", "matplotlib", "pydantic", "yaml", "pyarrow"}


def test_usage_errors_exit_with_two():
    assert invoke("pretrain").exit_code == 2
    assert invoke("run").exit_code == 2
    assert invoke("run", "a.yaml", "--nonsense").exit_code == 2
    assert invoke("nonsense").exit_code == 2


def test_version():
    import metarep

    assert metarep.__version__ in invoke("--version").stdout


def test_a_small_zoo_is_summarised(small):
    _, result = small
    lines = result.stdout.splitlines()
    assert lines[0].startswith("zoo: ")
    assert "3 trained networks, 0 diverged" in result.stdout
    assert lines[-4].split() == ["network_id", "seed", "mode", "valid_mse", "params"]
    assert [line.split()[1:3] for line in lines[-3:]] == [["2813536937", "3"], ["1316834517", "1"], ["2935802616", "2"]]
    assert lines[-3].endswith("0.4373 -0.4425 -0.7523 -0.4695 -0.0023 1.6139 -0.7446 -1.1377 1.3982")  # published.json


def test_show_draws_a_picture(small, tmp_path):
    folder, _ = small
    picture = tmp_path / "new" / "one.png"
    result = invoke("show", str(folder / "zoo"), "e09-2813536937", "--out", str(picture))
    assert result.exit_code == 0, result.output
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert invoke("show", str(folder / "zoo"), "e09-2813536937", "--out", str(picture)).exit_code == 1
    assert invoke("show", str(folder / "zoo"), "e09-2813536937", "--out", str(picture), "--overwrite").exit_code == 0


def test_info_tells_how_it_was_made_and_whether_hashes_hold(small, tmp_path):
    import shutil

    folder, _ = small
    result = invoke("info", str(folder / "zoo"))
    assert result.exit_code == 0
    assert "kind: zoo" in result.stdout
    assert "- 2813536937" in result.stdout
    shutil.copytree(folder / "zoo", tmp_path / "zoo")
    shard = tmp_path / "zoo" / "shard-00000.parquet"
    shard.write_bytes(shard.read_bytes()[:-1])
    result = invoke("info", str(tmp_path / "zoo"))
    assert result.exit_code == 1
    assert "shard-00000.parquet is truncated or altered" in result.stderr


def test_a_checkpoint_of_any_names_is_scanned(tmp_path):
    import torch

    hidden, bias = torch.tensor([[0.4373, -0.4425], [-0.7523, -0.4695]]), torch.tensor([-0.0023, 1.6139])
    out = {"last.v": torch.tensor([[-0.7446, -1.1377]]), "last.c": torch.tensor([1.3982])}
    torch.save({"state_dict": {"a": hidden, "b": bias} | out}, tmp_path / "net.pth")
    result = invoke("scan", str(tmp_path / "net.pth"))
    assert result.exit_code == 0, result.output
    for said in ("mode: 3 (", "0.7928", "active areas: 0.48894", "quadrant code: 01+11", "percentile among 2,000"):
        assert said in result.stdout
    assert [file.name for file in tmp_path.iterdir()] == ["net.pth"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("show {groups} groups-11-00095", "show draws fully connected networks of two inputs"),
        ("scan {groups}", "no 2-2-1 networks of two modes"),
    ],
)
def test_what_knows_multipliers_alone_says_so_of_other_zoos(line, words, tmp_path):
    groups = HERE / "groups" / "zoo"
    result = invoke(*line.format(groups=groups).split(), "--out", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert words in result.output


def test_networks_are_imported_shown_and_exported(small, tmp_path):
    import torch

    folder, _ = small
    back = str(tmp_path / "in" / "net.pt")
    result = invoke("export", str(folder / "zoo"), "e09-2813536937", "--out", back)
    assert result.exit_code == 0, result.output
    assert invoke("export", str(folder / "zoo"), "e09-2813536937", "--out", back).exit_code == 1
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1))
    net.load_state_dict(torch.load(back, weights_only=True))
    assert "mode: 3 (" in invoke("scan", back).stdout
    (tmp_path / "in" / "cut.pt").write_bytes(Path(back).read_bytes()[:100])
    result = invoke("import", str(tmp_path / "in"), "--out", str(tmp_path / "zoo"), "--quiet")
    assert result.exit_code == 1
    assert "cut.pt is damaged" in result.stderr
    assert not (tmp_path / "zoo").exists()
    result = invoke("import", str(tmp_path / "in"), "--out", str(tmp_path / "zoo"), "--quiet", "--skip-damaged")
    assert result.exit_code == 0, result.output
    for text in (result.stdout, invoke("info", str(tmp_path / "zoo")).stdout):
        assert "1 network of 1 run, 9 parameters, 1 architecture" in text
        assert "1 x 9 parameters in 4 tensors: 2 linear (float32)" in text
        assert "cut.pt: not read: " in text
    assert invoke("export", str(tmp_path / "zoo"), "net", "--out", str(tmp_path / "again.pt")).exit_code == 0
    assert (
        invoke("export", str(tmp_path / "zoo"), "net", "--dtype", "float16", "--out", str(tmp_path / "half.pt")).exit_code == 0
    )
    assert {value.dtype for value in torch.load(tmp_path / "half.pt", weights_only=True).values()} == {torch.float16}
    again = torch.load(tmp_path / "again.pt", weights_only=True)
    assert all(torch.equal(again[name], value) for name, value in net.state_dict().items())
    assert invoke("pretrain", str(tmp_path / "zoo")).exit_code == 1  # of one network alone


def bad_zoos(folder: Path) -> None:
    """Beside the good zoo: another version, a truncated shard, an altered one, a foreign folder, a file."""
    import shutil

    for name in ("version", "truncated", "altered"):
        shutil.copytree(folder / "zoo", folder / name)
    manifest = folder / "version" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format_version": 99}))
    shard = folder / "truncated" / "shard-00000.parquet"
    shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])
    shard = folder / "altered" / "shard-00000.parquet"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    (folder / "foreign").mkdir()
    (folder / "foreign" / "thesis.tex").write_text("years of work")
    (folder / "file").write_text("a file")


BAD = [
    ("build-zoo --set family=3", "family"),
    ("build-zoo --variant e99 --n-networks 2", "variant"),
    ("build-zoo --n-networks 0", "n_networks"),
    ("build-zoo --n-networks 2 --seeds 1,2", "one of the two"),
    ("build-zoo --seeds 1,x", "--seeds"),
    ("build-zoo --seeds 1,1", "repeat"),
    ("build-zoo --n-networks 2 --spec 2-x", "2-x"),
    ("build-zoo --variant e05 --n-networks 2", "e05"),
    ("build-zoo --variant e05 --n-networks 2 --parents nowhere", "nowhere"),
    ("build-zoo --n-networks 2 --device steam", "steam"),
    ("build-zoo --n-networks 2 --snapshots -1", "n_snapshots"),
    ("build-zoo --n-networks 2 --out zoo", "--overwrite"),
    ("build-zoo --n-networks 2 --out foreign --overwrite", "foreign"),
    ("build-zoo --config nowhere.yaml", "nowhere.yaml"),
    ("run nowhere.yaml", "nowhere.yaml"),
    ("run zoo.yaml", "families"),
    ("run good.yaml --out foreign", "foreign"),
    ("run good.yaml --out zoo --overwrite", "zoo"),
    ("run good.yaml --set pretrain.n_step=3", "pretrain.n_step"),
    ("run good.yaml --set models.a.pretrain.n_step=3", "models.a.pretrain: unknown key n_step"),
    ("run good.yaml --set embeddings=[astral]", "astral"),
    ("run good.yaml --set zoo.families.1.lr=3", "expected a number below 1"),
    ("run foreign --out new", "holds no networks"),
    ("import nowhere", "nowhere"),
    ("import file", "no known format"),
    ("import foreign", "holds no networks"),
    ("import foreign --labels nowhere.csv", "holds no networks"),
    ("import zoo --out zoo", "--overwrite"),
    ("import file --out foreign --overwrite", "foreign"),
    ("import file --architecture nowhere.yaml", "nowhere.yaml"),
    ("import file --set shard_mb=0", "shard_mb"),
    ("export nowhere n", "nowhere"),
    ("export zoo e09-4", "e09-"),
    ("export zoo e09-2813536937 --dtype int7", "float16"),
    ("export zoo e09-2813536937 --out file", "file is of no known format"),
    ("export altered e09-2813536937 --out new.pt", "shard-00000.parquet"),
    ("pretrain nowhere", "nowhere"),
    ("pretrain foreign", "foreign"),
    ("pretrain file", "file"),
    ("pretrain version", "99"),
    ("pretrain truncated", "shard-00000.parquet"),
    ("pretrain altered", "shard-00000.parquet"),
    ("pretrain zoo --set n_steps=0", "n_steps"),
    ("embed zoo zoo", "model"),
    ("embed nowhere zoo", "nowhere"),
    ("cluster zoo", "embeddings"),
    ("scan foreign", "foreign"),
    ("scan truncated", "shard-00000.parquet"),
    ("scan file", "rename or convert it"),
    ("scan nowhere.pth", "nowhere.pth"),
    ("scan zoo --out foreign --overwrite", "foreign"),
    ("transfer zoo zoo", "model"),
    ("dynamics nowhere", "nowhere"),
    ("dynamics zoo", "--snapshots"),
    ("dynamics zoo --set window=-1", "window"),
    ("report foreign", "foreign"),
    ("report nowhere", "nowhere"),
    ("report zoo", "a folder that `metarep run` wrote"),
    ("show zoo e09-4", "e09-"),
    ("show altered e09-2813536937", "shard-00000.parquet"),
    ("info nowhere", "nowhere"),
    ("info foreign", "manifest.json"),
    ("info version", "99"),
    ("bench zoo --specs 2-x", "2-x"),
]


@pytest.fixture(scope="module")
def bad(small):
    folder, _ = small
    bad_zoos(folder)
    (folder / "good.yaml").write_text("name: good\n")
    return folder


@pytest.mark.parametrize(("line", "said"), BAD, ids=[line for line, _ in BAD])
def test_bad_input_ends_in_one_line_and_changes_nothing(bad, monkeypatch, line, said):
    monkeypatch.chdir(bad)
    before = snapshot(bad)
    result = invoke(*line.split(), *([] if line.startswith(("show", "info")) else ["--quiet"]))
    assert snapshot(bad) == before
    assert result.exit_code == 1, result.output
    assert result.stdout == "" or line.startswith("info")
    (message,) = result.stderr.splitlines()
    assert message.startswith("metarep: ")
    assert said in message


LOST = RuntimeError("DataLoader worker (pid 123) is killed by signal: Killed. ")


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt, 130), (TerminatedWorkerError, 1), (LOST, 1)])
def test_what_is_interrupted_or_loses_a_process_ends_in_one_line(monkeypatch, tmp_path, error, code):
    import metarep.training.build

    def interrupted(*_, **__):
        raise error

    monkeypatch.setattr(metarep.training.build, "build_zoo", interrupted)
    result = invoke("build-zoo", "--n-networks", "2", "--out", str(tmp_path / "zoo"))
    assert result.exit_code == code
    (message,) = result.stderr.splitlines()
    assert "same command" in message


def test_what_the_disk_refuses_is_one_line(small, tmp_path):
    (tmp_path / "file").write_text("")
    result = invoke("build-zoo", "--seeds", "1", "--out", str(tmp_path / "file" / "zoo"), "--quiet")
    assert result.exit_code == 1
    (message,) = result.stderr.splitlines()
    assert message.startswith("metarep: ")
