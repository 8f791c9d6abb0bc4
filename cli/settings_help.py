"""`--help` of a command that has settings shows them all; they are imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from typer.core import TyperCommand

WIDE = {"max_content_width": 120}
"""Help is as wide as the terminal, up to so many characters."""


class SettingsCommand(TyperCommand):
    """A command whose help ends with the settings that `--config` and `--set` change."""

    settings = ""
    variants = False

    def format_help(self, ctx, formatter) -> None:
        """Writes the usual help, then every group of settings: name, meaning, default and bounds."""
        super().format_help(ctx, formatter)
        from metarep.settings_table import groups_of

        kind = settings_class(self.settings)
        formatter.write_paragraph()
        formatter.write_text(
            "Settings, in a YAML file or one by one: --set NAME=VALUE, below a dotted heading HEADING.NAME=VALUE"
        )
        found = groups_of(kind)
        for name, builder in (_builders() if self.variants else {}).items():
            found |= {f"Settings with --variant {name}": [row for rows in groups_of(builder.settings).values() for row in rows]}
        for title, rows in found.items():
            with formatter.section(title):
                formatter.write_dl([(row.name, described(row)) for row in rows], col_max=26)


def _builders() -> dict[str, Any]:
    from metarep.zoos.domain import builders

    return builders()


def settings_class(path: str) -> Any:
    """The class of settings that "module:Class" names."""
    module, name = path.split(":")
    return getattr(import_module(module), name)


def described(row) -> str:
    """A setting in a sentence: what it means, then its default and bounds in brackets."""
    facts = "; ".join(part for part in (row.default and f"default {row.default}", row.bounds) if part)
    return f"{row.meaning} [{facts}]".strip() if facts else row.meaning


def help_of(command: Callable[..., None]) -> type[SettingsCommand] | None:
    """The class of a command that has settings; None for any other."""
    shown = {"settings": command.settings, "variants": command.variants}
    return type("Command", (SettingsCommand,), shown) if command.settings else None
