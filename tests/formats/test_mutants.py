"""Files of every format with bits flipped, cut out, doubled or lost are read or refused, and nothing else."""

import random

from checkpoint_files import write_every_format
from other_files import write_other_formats

from metarep.errors import MetarepError
from metarep.formats.readers import read_contents


def mutate(content: bytes, rng: random.Random) -> bytes:
    """Bits flipped, bytes replaced, cut out, doubled, or the end lost; often near the start, where heads are."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        if not data:
            break
        at = rng.randrange(min(len(data), rng.choice((16, 200, len(data)))))
        match rng.randrange(6):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at] = rng.choice((0, 255, 0x7F, 0x80, rng.randrange(256)))
            case 2:
                del data[at : at + rng.choice((1, 4, 100))]
            case 3:
                data[at:at] = data[at : at + rng.choice((1, 8, 64))]
            case 4:
                data[at : at + 8] = rng.choice((0, 2**31, 2**62, 2**64 - 1)).to_bytes(8, "little")
            case 5:
                del data[rng.randrange(len(data)) :]
    return bytes(data)


SUFFIXES = (".pt", ".safetensors", ".npz", ".onnx", ".safetensors.index.json", ".zip", ".h5", ".msgpack", ".gguf")


def test_mutated_files_are_read_or_refused(tmp_path):
    """Seeded: 40 mutants of each file, a tenth under a wrong suffix. Never another error, never more than the file holds."""
    rng = random.Random(2026)
    good = [*write_every_format(tmp_path / "good"), *write_other_formats(tmp_path / "others")]
    n_read, refused = 0, []
    for file in good:
        content = file.read_bytes()
        for number in range(40):
            path = file.with_name(f"{number}-{file.name}" + (rng.choice(SUFFIXES) if rng.random() < 0.1 else ""))
            path.write_bytes(mutate(content, rng))
            try:
                networks = read_contents(path).networks
            except MetarepError as error:
                refused.append(str(error))
            else:
                n_read += 1
                held = sum(value.nbytes for one in networks for value in one.checkpoint.tensors.values())
                assert held <= 8 * len(content) + (1 << 21)
    assert n_read + len(refused) == 40 * len(good) >= 600
    assert min(n_read, len(refused)) > 30
    assert all(len(error.splitlines()) == 1 for error in refused)
