"""Every setting of a class in words: its meaning, its default and its bounds, in groups."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from metarep.settings import Settings, nested_settings

BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below", "min_length": "entries: at least"}


@dataclass(frozen=True)
class Row:
    """One setting: its name, what it means, its default and what it may be, as texts; "" for none."""

    name: str
    meaning: str
    default: str
    bounds: str


def groups_of(kind: type[Settings], prefix: str = "", shown: dict[tuple, str] | None = None) -> dict[str, list[Row]]:
    """All settings of a class by group; those that are settings themselves follow in groups whose titles are their prefix.

    Where a field holds the same settings as one before it, one row says so.
    """
    found: dict[str, list[Row]] = {}
    inner: dict[str, list[Row]] = {}
    shown = {} if shown is None else shown
    named = kind.GROUPS or {"": tuple(kind.model_fields)}
    left = tuple(name for name in kind.model_fields if not any(name in names for names in named.values()))
    for title, names in (named | ({"Other": left} if left else {})).items():
        heading = ": ".join(part for part in (prefix.rstrip("."), title) if part) or "General"
        for name in names:
            field = kind.model_fields[name]
            nested = tuple(nested_settings(field.annotation))
            kinds = tuple(one for one, _ in nested)
            if not nested:
                found.setdefault(heading, []).append(_row(field.alias or name, field))
            elif kinds in shown:
                row = Row(name + nested[0][1], f"{field.description or ''} (as {shown[kinds]})".strip(), "", "")
                found.setdefault(heading, []).append(row)
            else:
                shown[kinds] = prefix + name
                for one, path in nested:
                    for other, rows in groups_of(one, f"{prefix}{field.alias or name}{path}.", shown).items():
                        inner.setdefault(other, []).extend(rows)
    return found | inner


def _row(name: str, field: FieldInfo) -> Row:
    default = field.get_default(call_default_factory=True)
    return Row(name, field.description or "", _text(default), ", ".join(_bounds(field)))


def _text(value: Any) -> str:
    if value in (None, (), {}, PydanticUndefined):
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_text(one) for one in value) + "]"
    if isinstance(value, bool | int | float | dict):
        return json.dumps(value)
    return str(value)


def _bounds(field: FieldInfo) -> Iterator[str]:
    choices = list(_choices(field.annotation))
    if choices:
        yield "one of " + ", ".join(choices)
    for constraint in field.metadata:
        for name, word in BOUNDS.items():
            if (value := getattr(constraint, name, None)) is not None:
                yield f"{word} {value}"


def _choices(annotation: Any) -> Iterator[str]:
    """The words that a field takes, also as entries of a list."""
    if get_origin(annotation) is Literal:
        yield from map(str, get_args(annotation))
        return
    for one in get_args(annotation):
        yield from _choices(one)
