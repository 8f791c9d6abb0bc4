"""How settings are read: from a YAML file, from `--set key=value`, by Python.

A YAML file holds the settings of one stage or of a whole run; `--set key=value` changes
one by its dotted name. Unknown keys and impossible values are one-line errors.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from metarep.errors import MetarepError


class Settings(BaseModel):
    """A frozen set of settings that knows no other keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _change_the_default(cls, data: Any) -> Any:
        """Where a field's default is settings, keys that are given change that default, not the one of its kind."""
        if not isinstance(data, dict):
            return data
        given = {name: part for name, part in data.items() if isinstance(part, dict)}
        defaults = {name: cls.model_fields[name].default for name in given if name in cls.model_fields}
        return data | {
            name: _merged(default.model_dump(mode="json", exclude_defaults=True), given[name])
            for name, default in defaults.items()
            if isinstance(default, Settings)
        }

    def resolved(self) -> dict[str, Any]:
        """Every setting with its value, as plain JSON data: what a manifest holds."""
        return self.model_dump(mode="json")

    @classmethod
    def as_of_today(cls, resolved: dict[str, Any]) -> dict[str, Any]:
        """Settings that an earlier version resolved, by today's names and with the defaults of what it did not have.

        A setting that is added must therefore leave by its default everything as it was. As they are where they cannot be read.
        """
        try:
            return cls.model_validate(resolved).resolved()
        except ValidationError:
            return resolved


Model = TypeVar("Model", bound=Settings)


def load_config(kind: type[Model], path: Path | str | None = None, overrides: list[str] | None = None, **fixed: Any) -> Model:
    """Settings of one kind from a YAML file, `key=value` texts and values that stand already.

    Later ones win: the file, then `overrides` (dotted keys, YAML values), then `fixed`
    (those that are None are left out). Raises MetarepError naming the file and the key.
    """
    data: dict[str, Any] = {}
    where = str(path) if path else kind.__name__
    if path is not None:
        data = _read_yaml(Path(path))
    for text in overrides or []:
        _set_dotted(data, text)
    data.update({key: value for key, value in fixed.items() if value is not None})
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
    return data if base is None else _merged(_read_yaml(path.parent / str(base), (*seen, path.resolve())), data)


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Both, key by key; where both hold keys with values these are merged too, and else the change wins."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(merged.get(key), dict) and isinstance(value, dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _set_dotted(data: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise MetarepError("--set is malformed", met=repr(text), expected="key=value, such as pretrain.n_steps=500")
    *parents, last = key.split(".")
    for parent in parents:
        data = data.setdefault(parent, {})
        if not isinstance(data, dict):
            raise MetarepError(f"--set {key}: {parent} holds no further keys", expected="a dotted name of a setting")
    try:
        data[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise MetarepError(f"--set {key}: the value is not YAML", met=repr(value)) from error


def _explain(error: ValidationError, where: str, kind: type[Settings]) -> MetarepError:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return MetarepError(f"{where}: unknown key {key}", expected=_known_keys(kind, first["loc"]), fix="correct or remove it")
    message = first["msg"].removeprefix("Value error, ")
    met = repr(first["input"]) if not isinstance(first["input"], dict | BaseModel) else None
    return MetarepError(f"{where}: {key or 'settings'}", met=met, expected=message, fix="correct the value")


def _known_keys(kind: type[Settings], loc: tuple[Any, ...]) -> str:
    here: Any = kind
    for part in loc[:-1]:
        if isinstance(part, str) and hasattr(here, "model_fields") and part in here.model_fields:
            here = here.model_fields[part].annotation
        options = [a for a in getattr(here, "__args__", ()) if isinstance(a, type) and issubclass(a, Settings)]
        here = options[0] if options else here
    return "one of " + ", ".join(here.model_fields) if hasattr(here, "model_fields") else "a known key"
