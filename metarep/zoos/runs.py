"""Which files belong to one training run, guessed from the names of files and folders.

A name is stripped of what tells the states of one run apart: how far training had come, best and last, averages of weights,
the precision that values are kept in. What is left is the run: `run_07/epoch=3.ckpt` is of run_07, `mlp_seed0_epoch10.pt` of
mlp_seed0. A file whose name holds nothing of the kind is a run of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

COUNTS = (
    r"(?P<epoch>\d+)[_-]?epochs?",  # 10epochs
    r"(?:epochs?|ep)[=_.-]?(?P<epoch>\d+)",  # epoch=3, epoch_3, ep3
    r"(?P<step>\d+)[_-]?(?:steps|iters|iterations|updates)",  # 10000_steps
    r"(?:global[_-]?)?(?:steps?|iters?|iterations?|itr|updates?)[=_.-]?(?P<step>\d+)",  # step=100, global_step100, iter_5
    r"checkpoint-(?P<step>\d+)",  # checkpoint-500, as Hugging Face's trainer counts steps
    r"(?:checkpoint|ckpt|chkpt|snapshot)[=_.-]?\d+",  # checkpoint_000001: a count of checkpoints
    r"(?<=[a-z0-9][_-])e(?P<epoch>\d+)",  # resnet_e10
)
"""How far training had come, by its epoch or its step where the name says which of them a number is."""

WORDS = (
    r"best(?:[_-]?(?:val|valid|model|ckpt))*|last|latest|final|init|initial|ema|swa|non[_-]?ema|averaged|checkpoint|ckpt",
    r"fp16|fp32|bf16|float16|bfloat16|half|int8|int4|q4|q8|quantized|quantised",
)
"""States of a run that a word tells apart, and copies in other precisions."""

METRICS = (
    r"(?:(?:val|valid|validation|test|train|eval)[_-]?)?"
    r"(?:loss|acc|accuracy|f1|auc|iou|miou|map|psnr|fid|mse|mae|ppl|reward|return|score|metric)[=_:-]?(?:\d+(?:\.\d+)?)?",
    r"v\d+",
)
"""What stands beside a count or a word: a metric with its value, a version."""

NAMELESS = re.compile(
    r"|(model|net|network|weight|checkpoint|ckpt|snapshot|state|epoch|step|param|file|log|output|artifact)s?|module|saved|dict"
    r"|pytorch|torch|tf|flax|onnx|adapter|diffusion|rl|consolidated"
)
"""Words that every network could be called by: a file or folder that has no others is named by the folder above it."""

RUN_FOLDER = re.compile(r"(?:run|trial|version|job)(?:\d+|[_-].+)", re.I)
"""Folders all of whose files are of one run."""

REPEAT_FOLDER = re.compile(r"(?:seed|exp|experiment|fold|rep|repeat|replicate|member)[=_-]?\d+", re.I)
"""Folders that are a run each where their files have no names but numbers."""


@dataclass(frozen=True)
class Guess:
    """The run of a file, None where its name tells nothing of one; its epoch, or its step, where the name says it, and which
    of the two that is.
    """

    run: str | None
    epoch: int | None = None
    unit: str = field(default="", compare=False)


def guess_run(network_id: str) -> Guess:
    """The run of the network in a file; `network_id` is the file's path under the folder imported, without its suffix.

    A run that is the folder imported itself is "".
    """
    *folders, name = (_stripped(part) for part in _COUNT_FOLDER.sub(r"\1_", network_id).split("/"))
    counts = [count for part in (*folders, name) for count in part.counts]
    kept = [part.rest for part in folders if not _nameless(part.rest)]
    numbered = _nameless(re.sub(r"\d", "", name.rest))
    is_folder = kept and (RUN_FOLDER.fullmatch(kept[-1]) or (numbered and REPEAT_FOLDER.fullmatch(kept[-1])))
    if is_folder or _nameless(name.rest):
        return Guess("/".join(kept), *_epoch(counts))
    told = any(part.told for part in (*folders, name))
    return Guess("/".join([*kept, name.rest]), *_epoch(counts)) if told else Guess(None)


@dataclass(frozen=True)
class Numbered:
    """A name with a number in it: where it stands, its folder, and whether that number is all that it says."""

    number: int
    series: str
    folder: str
    bare: bool


def numbered(network_id: str) -> Numbered | None:
    """The last number in a file's name, for names that may be one of a series: expA/1, expA/2."""
    folder, _, name = network_id.rpartition("/")
    match = re.fullmatch(r"(.*?)(\d{1,18})(\D*)", name)
    if match is None:
        return None
    series = f"{folder}/{match[1]}#{match[3]}"
    return Numbered(int(match[2]), series, folder, _nameless(match[1]) and _nameless(match[3]))


@dataclass(frozen=True)
class _Part:
    """A name without counts, words and metrics; the counts; whether there was a count or a word at all."""

    rest: str
    counts: list[dict[str, str]]
    told: bool


def _stripped(name: str) -> _Part:
    counts = []
    for pattern in _COUNTS:
        counts += [match.groupdict() for match in pattern.finditer(name)]
        name = pattern.sub("", name)
    rest = _WORDS.sub("", name)
    told = bool(counts) or rest != name
    rest = _METRICS.sub("", rest) if told else rest
    rest = re.sub(r"([_.=-])[_.=-]+", r"\1", rest).strip("_.=- ")
    return _Part(_TAIL.sub("", rest) if told else rest, counts, told)


def _nameless(rest: str) -> bool:
    return all(NAMELESS.fullmatch(word) for word in re.split(r"[\W_]+", rest.lower()))


def _epoch(counts: list[dict[str, str]]) -> tuple[int, str] | tuple[()]:
    """The epoch that names tell, else the step; and which it is."""
    for unit in ("epoch", "step"):
        told = [int(count[unit][:18]) for count in counts if count.get(unit)]
        if told:
            return told[-1], unit
    return ()


def _whole(*patterns: str) -> re.Pattern[str]:
    """Any of the patterns, standing between the other words of a name."""
    return re.compile(rf"(?<![a-z0-9])(?:{'|'.join(patterns)})(?![a-z0-9])", re.I)


_COUNT_FOLDER = re.compile(r"(epoch|step|iter|checkpoint|ckpt|snapshot)s?/(?=\d+$)", re.I)
"""A folder of states that are called by their numbers: epochs/3.pt."""

_COUNTS = tuple(_whole(pattern) for pattern in COUNTS)
_WORDS, _METRICS = _whole(*WORDS), _whole(*METRICS)
_TAIL = re.compile(rf"(?<=.)([_.=-]+({NAMELESS.pattern.removeprefix('|')}))+$", re.I)
