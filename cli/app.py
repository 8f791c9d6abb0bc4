"""The `metarep` command and the one border where errors become a line of text.

Nothing heavy is imported here or at the head of a command's file, so that `--help` answers at once.
"""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool
from typing import Annotated

import typer
from typer.core import TyperGroup

from metarep import __version__
from metarep.errors import MetarepError

from .ablations import ablations
from .audit import audit
from .bench import bench_app
from .benchmark import benchmark
from .build_zoo import build_zoo
from .cluster import cluster
from .demo import demo
from .dynamics import dynamics
from .embed import embed
from .export import export
from .functions import functions
from .import_networks import import_networks
from .info import info
from .map import map_
from .neighbours import neighbours
from .parts import parts
from .predict import predict
from .pretrain import pretrain
from .push import push
from .reconstruct import reconstruct
from .report import report
from .run import run
from .scan import scan
from .series import beyond, experiment, question
from .settings_help import WIDE, help_of
from .show import show
from .transfer import transfer

INTERRUPTED = 130
"""What a shell reports for a program that Ctrl-C ended."""


class Border(TyperGroup):
    """Turns what a user can fix into one line on stderr and exit 1, and Ctrl-C into one line and exit 130."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except MetarepError as error:
            raise _ended(error) from error
        except BrokenPipeError:
            raise  # a reader such as `head` has seen enough; typer ends quietly
        except OSError as error:
            if error.errno is None:
                raise  # not the system's: a bug of ours, which its traceback tells best
            raise _ended(f"{error.filename}: {error.strerror}" if error.filename else error.strerror) from error
        except RuntimeError as error:
            if not isinstance(error, BrokenProcessPool) and "DataLoader worker" not in str(error):
                raise
            why = "a process that this one had started was killed, most often since memory ran out"
            fewer = "LOKY_MAX_CPU_COUNT=1 before it takes one process, and less memory"
            raise _ended(f"{why}; the same command again carries on from here; {fewer}") from error
        except KeyboardInterrupt as error:
            raise _ended("interrupted; the same command again carries on from here", INTERRUPTED) from error


def _ended(message: object, code: int = 1) -> typer.Exit:
    """Says a line on stderr; returns what ends the command."""
    typer.echo(f"metarep: {message}", err=True)
    return typer.Exit(code)


app = typer.Typer(
    cls=Border,
    name="metarep",
    help="Collect or train a zoo of networks, learn to predict their masked parameters, and see what they learned.\n\n"
    "Example: metarep run configs/quickstart.yaml --out results/quickstart",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"metarep {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version and exit")
    ] = False,
) -> None:
    pass


COMMANDS = (
    *(run, demo, build_zoo, import_networks, export, pretrain, embed, cluster, neighbours, parts, predict),
    *(transfer, audit, reconstruct, scan, push),
    *(experiment, question, beyond, dynamics, functions, ablations, benchmark, report, map_, show, info),
)
"""In the order of `--help`."""

NAMES = {import_networks: "import", map_: "map"}

for _command in COMMANDS:
    _name = NAMES.get(_command, _command.__name__.replace("_", "-"))
    app.command(_name, cls=help_of(_command), context_settings=WIDE)(_command)
app.add_typer(bench_app, name="bench")
