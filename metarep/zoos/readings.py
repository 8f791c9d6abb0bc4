"""How columns of labels and properties are read: as categories, as numbers, as both where that is in doubt, or as neither.

A column of whole numbers with few different values may say which class a network is of, or how much of something it has: it is
a label and a property. Seeds, ids, paths and row numbers are neither, since nothing about a network follows from them. What
is missing ("", NA, nan, …) is no value: a number is NaN there, and a network without a label is of no class.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from metarep.account import Entry, listed
from metarep.errors import MetarepError

MISSING = frozenset(["", "-", "--", "?", "#N/A", "#NA", "<NA>", "N/A", "NA", "n/a", "NULL", "null", "NaN", "nan", "None"])
MISSING |= {"n.a.", "N.A.", "#DIV/0!", "#NUM!", "#VALUE!", "#REF!"}
"""Texts that stand for no value; `none` may be a class."""

MISSING_NUMBERS = frozenset(text.upper() for text in MISSING)
"""Those of a column of numbers, in any case of letters."""

TRUTHS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}

FEW_VALUES, PER_VALUE = 20, 3
"""Whole numbers of at most so many values, each of so many networks on average, may be classes."""

FEW_CLASSES, MAX_CLASSES, PER_CLASS = 10, 200, 5
"""A text of more than the first number of classes is a label only if they have `PER_CLASS` networks on average."""

ROUNDING = 1e-12
"""A smaller share of the whole than this is no difference."""

MIN_KNOWN = 5
"""A number that fewer networks have is not worth predicting."""

MIN_ROWS = 10
"""Fewer networks in the order of their numbers are no sign that these count rows."""

NUMERIC, NAMES = "--numeric reads it as a number", "it names networks or runs one by one"

SEEDS = frozenset(("seed", "seeds", "rng"))
IDS = frozenset(
    ("id", "ids", "idx", "index", "uuid", "guid", "hash", "sha", "sha1", "sha256", "md5", "digest", "commit", "row")
)
IDS |= {"path", "filepath", "file", "filename", "folder", "dir", "directory", "url", "uri", "ckpt", "checkpoint", "wandb"}
IDS |= {"unnamed", "pid", "host", "hostname", "ip", "timestamp", "date", "datetime"}
RUNS = frozenset(("run", "trial", "job", "experiment", "replicate", "repetition", "fold", "cv", "number", "num", "no", "nr"))
SPLITS = frozenset(("train", "training", "valid", "val", "validation", "dev", "test", "testing", "eval", "holdout"))
TIMES = frozenset(("epoch", "epochs", "step", "steps", "iteration", "iterations", "iter", "time"))
SIZES = frozenset(("width", "depth", "layers", "units", "hidden", "rank"))
"""Words of names, and of splits the values, that say what a column is: names of no other words than `RUNS` are those of ids,
times are no classes, and neither times nor sizes count rows.
"""


@dataclass(frozen=True)
class Readings:
    """Columns (N,), float64 or texts; which of them are labels, the surest first, and which properties; what was decided."""

    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class ColumnReading:
    """One column: its values, whether it is a label and a property, what that is in words and why."""

    values: np.ndarray
    is_label: bool
    is_property: bool
    what: str
    why: str = ""
    doubt: bool = False


def texts_of(values: np.ndarray) -> np.ndarray:
    """(N,) objects: a column as classes, "" where there is none; whole numbers without a point."""
    if values.dtype == object:
        return values
    if values.dtype.kind == "f":
        return np.array([_digits(value) for value in values.tolist()], dtype=object)
    return values.astype(str).astype(object)


def numbers_of(values: np.ndarray) -> np.ndarray:
    """(N,) float64: a column as numbers, NaN where there is none."""
    return values.astype(np.float64) if values.dtype != object else np.array([_number(text) for text in values], np.float64)


def is_known(values: np.ndarray) -> np.ndarray:
    """(N,) bool: where texts are not "" and numbers finite."""
    return values != "" if values.dtype == object else np.isfinite(values)


def varies(values: np.ndarray) -> bool:
    """Whether there are two different ones among numbers or texts (N,), by more than rounding; NaN counts for nothing."""
    known = values[is_known(values)]
    if known.dtype == object:
        return len(set(known.tolist())) > 1
    half = known / 2  # whose differences do not overflow
    return len(known) > 1 and float(np.ptp(half)) > ROUNDING * float(np.abs(half).max())


def _digits(value: float) -> str:
    return "" if math.isnan(value) else str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(float(value))


def _number(text: str) -> float:
    """The number that a text is, NaN for a missing one and for others."""
    if text.casefold() in TRUTHS:
        return TRUTHS[text.casefold()]
    try:
        return float(text.removesuffix("%")) if re.fullmatch(r"[-+.\deE]+%?|[-+]?inf(inity)?", text, re.I) else math.nan
    except ValueError:
        return math.nan


def read_columns(
    networks: Sequence[Mapping[str, Any]],
    run_ids: Sequence[str],
    *,
    categorical: Sequence[str] = (),
    numeric: Sequence[str] = (),
) -> Readings:
    """The columns of what is known of networks (N,), one mapping each, of some runs (N,); those named are read as that and
    nothing else.

    Raises MetarepError for a name that is no column, or that is named twice.
    """
    names = list(dict.fromkeys(name for known in networks for name in known))
    for name in (*categorical, *numeric):
        if name not in names or (name in categorical and name in numeric):
            met = "no such column" if name not in names else "both are asked for"
            expected = "one of " + ", ".join(names) if names else "a table of --labels that has it"
            raise MetarepError(f"--categorical or --numeric {name}", met=met, expected=expected)
    found = {}
    for name in names:
        cells = [_cell(known.get(name)) for known in networks]
        forced = "category" if name in categorical else "number" if name in numeric else None
        found[name] = _finite(read_column(name, cells, run_ids, forced))
    sure = [name for name, one in found.items() if one.is_label and not one.is_property]
    both = [name for name, one in found.items() if one.is_label and one.is_property]
    entries = tuple(Entry("column", name, one.what, one.why, one.doubt) for name, one in found.items())
    properties = tuple(name for name, one in found.items() if one.is_property)
    return Readings({name: one.values for name, one in found.items()}, (*sure, *both), properties, entries)


def _finite(reading: ColumnReading) -> ColumnReading:
    """With infinite numbers as missing ones, which it says."""
    infinite = np.isinf(reading.values) if reading.values.dtype != object else np.zeros(1, bool)
    if not infinite.any():
        return reading
    why = "; ".join(filter(None, (reading.why, f"infinite in {int(infinite.sum())} networks, which count as without a value")))
    return replace(reading, values=np.where(infinite, np.nan, reading.values), why=why)


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(value).strip() if not isinstance(value, bool) else str(value).lower()


def read_column(name: str, cells: Sequence[str], run_ids: Sequence[str], forced: str | None = None) -> ColumnReading:
    """How the texts (N,) of one column are read."""
    run = np.array(run_ids, dtype=object)
    texts = np.array(["" if cell in MISSING else cell for cell in cells], dtype=object)
    numbers = numbers_of(texts)
    words = Counter(cell for cell in texts[np.isnan(numbers)] if cell.upper() not in MISSING_NUMBERS)
    is_truth = not words and all(cell.casefold() in TRUTHS for cell in texts[np.isfinite(numbers)])
    known = numbers[np.isfinite(numbers)]
    if not words:
        texts[np.isnan(numbers)] = ""
    if not words and not len(known):
        return ColumnReading(texts, False, False, "left out: no network has a value")
    if forced == "category":
        texts = texts_of(numbers) if not words and not is_truth else texts
        return ColumnReading(texts, True, False, f"a category of {len(set(texts) - {''})} values, as asked for")
    if not words and not varies(known):
        return ColumnReading(
            numbers, False, False, f"left out: {_digits(known[0])} in all {len(known)} networks that have a value"
        )
    if forced == "number":
        return ColumnReading(numbers, False, True, "a number, as asked for", f"no numbers: {_listed(words)}" if words else "")
    if not words:
        return _read_numbers(name, numbers, run, texts if is_truth else None)
    return _read_texts(name, texts, numbers, run, words)


def _read_numbers(name: str, numbers: np.ndarray, run: np.ndarray, truths: np.ndarray | None) -> ColumnReading:
    values, words, known = numbers if truths is None else truths, _words(name), numbers[np.isfinite(numbers)]
    distinct = np.unique(known)
    whole = bool((known == np.floor(known)).all())
    if whole and (SEEDS.intersection(words) or {"random", "state"} <= {*words}):
        return ColumnReading(values, False, False, "left out: a seed says nothing of a network", NUMERIC)
    if whole and _is_id(words):
        if 2 * len(distinct) > len(set(run[np.isfinite(numbers)])):
            return ColumnReading(values, False, False, f"left out: {NAMES}", NUMERIC)
        return ColumnReading(values, True, False, f"a category of {len(distinct)} values", f"an id is no number; {NUMERIC}")
    if whole and _counts_rows(known) and not (TIMES | SIZES).intersection(words):
        return ColumnReading(values, False, False, "left out: it counts the networks", NUMERIC, doubt=True)
    if len(known) < min(MIN_KNOWN, len(numbers)):
        return ColumnReading(values, False, False, f"left out: known for {len(known)} of {len(numbers)} networks")
    is_class = set(distinct.tolist()) == {0, 1} or PER_VALUE * len(distinct) <= len(known)
    if whole and is_class and len(distinct) <= FEW_VALUES and not TIMES.intersection(words):
        what = f"a category of {len(distinct)} values, and a number"
        why = ["--categorical or --numeric keeps one of the two", _known(len(known), len(numbers))]
        return ColumnReading(values, True, True, what, "; ".join(filter(None, why)))
    return ColumnReading(values, False, True, "a number", _known(len(known), len(numbers)))


def _read_texts(name: str, texts: np.ndarray, numbers: np.ndarray, run: np.ndarray, words: Counter) -> ColumnReading:
    present = texts[texts != ""]
    reason = why_no_label(texts, run)
    if reason and 2 * int(np.isfinite(numbers).sum()) > len(present):
        why = f"no numbers: {_listed(words)}; --categorical reads the column as texts"
        return ColumnReading(numbers, False, True, "a number", why, doubt=True)
    if reason is None and {str(text).casefold() for text in present} <= SPLITS:
        reason = "it says how networks were split"
    if _is_id(_words(name)) and 2 * len(set(present)) > len(set(run[texts != ""])):
        reason = NAMES
    if len(set(present)) == 1:
        return ColumnReading(texts, False, False, f"left out: {present[0]} in all {len(present)} networks that have a value")
    if reason:
        return ColumnReading(texts, False, False, f"left out: {reason}", "--categorical reads it as a label all the same")
    return ColumnReading(texts, True, False, f"a category of {len(set(present))} values", _known(len(present), len(texts)))


def why_no_label(texts: np.ndarray, run: np.ndarray) -> str | None:
    """Why classes (N,) of networks of some runs (N,) tell nothing of these, "" for no class; None where they may."""
    present = texts[texts != ""]
    n, n_classes = len(set(run[texts != ""].tolist())), len(set(present.tolist()))
    too_many = PER_CLASS * n_classes > n if n_classes > FEW_CLASSES else n >= MIN_KNOWN and 3 * n_classes > 2 * n
    if too_many:
        return f"{n_classes} classes in {n} {'networks' if n == len(present) else 'runs'} are too many"
    return f"{n_classes:,} classes; {MAX_CLASSES} are the most" if n_classes > MAX_CLASSES else None


def _counts_rows(known: np.ndarray) -> bool:
    """Whether whole numbers are those from 0 or 1 on, each of one network, in any order."""
    counted = np.sort(known)
    return len(known) >= MIN_ROWS and counted[0] in (0, 1) and bool((np.diff(counted) == 1).all())


def _is_id(words: Sequence[str]) -> bool:
    return words[-1] in IDS or RUNS.issuperset(words)


def _known(n_known: int, n: int) -> str:
    return "" if n_known == n else f"known for {n_known} of {n} networks"


def _listed(words: Counter) -> str:
    return listed([f"{word} ({n})" for word, n in words.most_common()])


def _words(name: str) -> list[str]:
    """The words of a name in lower case; the last one says what kind of thing it is: "id" of `wandb_id`."""
    return re.findall(r"[a-z]+\d*", re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()) or [""]
