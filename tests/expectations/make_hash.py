"""Samples of hashing.py that the C++ twins must meet bit for bit: writes hash.json. Needs numpy."""

import json
import pathlib

import numpy as np

import hashing

TENSORS = [
    # name, shape, seed, gain, damped: every rule of hashing.fill
    ("conv1.weight", (64, 3, 7, 7), 1, 6, ""),
    ("features.6.1.block.1.0.weight", (13, 1, 5, 5), 3, 6.5, ""),
    ("fc.weight", (10, 1031), 2, 3.5, ""),
    ("fc.bias", (1000,), 2, 3.5, ""),
    ("layer1.0.bn2.weight", (64,), 1, 3, "bn3"),
    ("layer1.0.bn3.weight", (257,), 1, 3, "bn3"),
    ("layer1.0.bn3.bias", (257,), 1, 3, "bn3"),
    ("layer1.0.bn3.running_mean", (257,), 1, 3, "bn3"),
    ("layer1.0.bn3.running_var", (257,), 1, 3, "bn3"),
]


def bits(values):
    return values.reshape(-1).view(np.uint32)


def sample(name, values):
    norm, sums = hashing.project(name, values)
    return {"first_bits": bits(values)[:4].tolist(), "sum_of_bits": int(bits(values).astype(np.uint64).sum()),
            "norm": norm, "projections": sums.tolist()}


def main():
    rows = []
    for name, shape, seed, gain, damped in TENSORS:
        head = {"name": name, "shape": shape, "seed": seed, "gain": gain, "damped": damped}
        rows.append(head | sample(name, hashing.fill(name, shape, seed, gain, damped)))
    image = {"shape": (2, 3, 5, 4), "seed": 7} | sample("input", hashing.image((2, 3, 5, 4), 7))
    text = ",\n".join(json.dumps(row) for row in rows)
    path = pathlib.Path(__file__).parent / "hash.json"
    path.write_text(f'{{"image": {json.dumps(image)},\n"tensors": [\n{text}]}}\n')


if __name__ == "__main__":
    main()
