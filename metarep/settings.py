"""How settings are read: from a YAML file, from `--set key=value`, by Python.

A YAML file holds the settings of one stage or of a whole run; `--set key=value` changes one by its dotted name. Unknown keys
and impossible values are one-line errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Tag, ValidationError, create_model

from metarep.errors import MetarepError


class Settings(BaseModel):
    """A frozen set of settings that knows no other keys; `GROUPS` puts their names into groups for `--help`."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    GROUPS: ClassVar[dict[str, tuple[str, ...]]] = {}

    def resolved(self) -> dict[str, Any]:
        """Every setting with its value, as plain JSON data: what a manifest holds."""
        return self.model_dump(mode="json", by_alias=True)

    def changed(self, changes: Mapping[str, Any], *, where: str) -> Self:
        """The same settings with some changed, key by key. Raises MetarepError, saying `where`, for impossible ones."""
        return _validated(type(self), merged(self.resolved(), changes), where)

    def filled(self, defaults: Mapping[str, Any]) -> Self:
        """The same settings with other defaults, key by key: what was given stays. The defaults are not checked."""
        found = {}
        for name, value in defaults.items():
            own = getattr(self, name)
            if isinstance(own, Settings):
                found[name] = own.filled(value)
            elif name not in self.model_fields_set:
                found[name] = value
        return self.model_copy(update=found)


Model = TypeVar("Model", bound=Settings)


def with_defaults(kind: type[Model], name: str, **defaults: Any) -> type[Model]:
    """A class of the same settings, of which some have other defaults."""
    fields = {}
    for key, value in defaults.items():
        field = kind.model_fields[key].merge_field_infos(kind.model_fields[key], default=value)
        fields[key] = (field.annotation, field)
    return create_model(name, __base__=kind, __doc__=kind.__doc__, __module__=kind.__module__, **fields)


def load_config(
    kind: type[Model], /, path: Path | str | None = None, overrides: list[str] | None = None, **fixed: Any
) -> Model:
    """Settings of one kind from a YAML file, `key=value` texts and values that stand already.

    Later ones win: the file, then `overrides` (dotted keys, YAML values), then `fixed`
    (those that are None are left out). Raises MetarepError naming the file and the key.
    """
    data = {} if path is None else _read_yaml(Path(path))
    for text in overrides or []:
        _set_dotted(data, text, kind)
    data.update({key: value for key, value in fixed.items() if value is not None})
    return _validated(kind, data, str(path) if path else kind.__name__)


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Both, key by key; where both hold keys with values these are merged too, and else the change wins."""
    result = dict(base)
    for key, value in changes.items():
        both = isinstance(result.get(key), Mapping) and isinstance(value, Mapping)
        result[key] = merged(result[key], value) if both else value
    return result


def _validated(kind: type[Model], data: Mapping[str, Any], where: str) -> Model:
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise _explain(error, where, kind) from error


def _read_yaml(path: Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The settings in a file, on top of those of the file that it `extends`, if it names one (from where it lies itself)."""
    if path.resolve() in seen:
        raise MetarepError(f"{path} extends itself", met=" -> ".join(p.name for p in (*seen, path)), fix="remove one `extends`")
    try:
        data = yaml.safe_load(path.read_text())
    except FileNotFoundError as error:
        raise MetarepError(f"no config file {path}", fix="check the path") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise MetarepError(f"{path} cannot be read as YAML", met=error) from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise MetarepError(f"{path} is no config", met=type(data).__name__, expected="keys with values")
    base = data.pop("extends", None)
    return data if base is None else merged(_read_yaml(path.parent / str(base), (*seen, path.resolve())), data)


def _set_dotted(data: dict[str, Any], text: str, kind: type[Settings]) -> None:
    """Sets one key of nested tables and lists; a list that is not in `data` yet is that of the defaults."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise MetarepError("--set is malformed", met=repr(text), expected="key=value, such as pretrain.n_steps=500")
    parts = key.split(".")
    here: Any = data
    for number, part in enumerate(parts[:-1]):
        at = _place(here, part, key)
        if isinstance(here, dict):
            here.setdefault(at, _default_list(kind, parts[: number + 1]) if parts[number + 1].isdigit() else {})
        here = here[at]
    try:
        here[_place(here, parts[-1], key)] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise MetarepError(f"--set {key}: the value is not YAML", met=repr(value)) from error


def _place(here: Any, part: str, key: str) -> str | int:
    """How a table or a list is indexed for one part of a dotted key. Raises MetarepError where it has no such entry."""
    if isinstance(here, dict):
        return part
    if not isinstance(here, list):
        raise MetarepError(f"--set {key}: {part} cannot be set", met=repr(here), expected="a dotted name of a setting")
    if not part.isdigit() or int(part) >= len(here):
        raise MetarepError(f"--set {key}: no entry", met=part, expected=f"a number below {len(here)}")
    return int(part)


def _default_list(kind: type[Settings], parts: list[str]) -> list[Any]:
    """The entries of a list of settings as they are by default."""
    here: Any = kind()
    for part in parts:
        here = getattr(here, part, None)
    entries = here if isinstance(here, tuple) else ()
    return [one.model_dump(mode="json", exclude_unset=True) if isinstance(one, Settings) else one for one in entries]


def _explain(error: ValidationError, where: str, kind: type[Settings]) -> MetarepError:
    first = error.errors()[0]
    key, known = _walk(kind, first["loc"])
    if first["type"] == "extra_forbidden":
        return MetarepError(f"{where}: unknown key {key}", expected=known, fix="correct or remove it")
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    met = repr(first["input"]) if not isinstance(first["input"], dict | BaseModel) else None
    return MetarepError(f"{where}: {key or 'settings'}", met=met, expected=message, fix="correct the value")


def _walk(kind: type[Settings], loc: tuple[Any, ...]) -> tuple[str, str]:
    """The dotted name of where pydantic found an error, and which keys are known there."""
    here: Any = kind
    parts, known = [], "a known key"
    for part in loc:
        tagged = dict(_tagged(here))
        if part in tagged and not (parts == [] or get_origin(here) is dict):
            here = tagged[part]
            continue
        parts.append(str(part))
        if get_origin(here) is dict:
            here = get_args(here)[1]
            continue
        settings = next((kind for kind, _ in nested_settings(here)), None)
        if settings is not None and isinstance(part, str):
            by_name = {field.alias or name: field for name, field in settings.model_fields.items()}
            near = get_close_matches(part, by_name, n=3)
            known = "such as " + ", ".join(near) if near else "one of " + ", ".join(by_name)
            here = by_name[part].annotation if part in by_name else here
    return ".".join(parts), known


def _tagged(annotation: Any) -> Iterator[tuple[str, Any]]:
    """The choices of a union that pydantic tells apart by tags, which it puts into the place of an error."""
    for one in getattr(annotation, "__metadata__", ()):
        if isinstance(one, Tag):
            yield one.tag, annotation
    for one in get_args(annotation):
        yield from _tagged(one)


def nested_settings(annotation: Any) -> Iterator[tuple[type[Settings], str]]:
    """The settings that an annotation is or holds (`X`, `X | None`, `tuple[X, ...]`, `dict[str, X]`), with what stands between
    the name of the field and theirs: nothing, an index or a name.
    """
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        yield annotation, ""
        return
    step = {tuple: ".0", dict: ".NAME"}.get(get_origin(annotation), "")
    for one in get_args(annotation):
        for kind, path in nested_settings(one):
            yield kind, step + path
