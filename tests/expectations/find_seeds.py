"""Which seed to make a network of NETWORKS with: one whose gradients do not hang on a coin toss.

    python find_seeds.py NAME [SEEDS]

A rectifier or max pool whose input lies within rounding error of its threshold lets a gradient pass in one correct
implementation and stops it in another: an error of per cents that says nothing. This prints, for each seed, the least
distance of any input from its threshold, in units of the r.m.s. error of PyTorch's f32 at that layer, over both modes.
"""

import sys

import torch
from torch.overrides import TorchFunctionMode

from make_networks import NETWORKS


class Record(TorchFunctionMode):
    """Keeps what goes into each rectifier and max pool."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func.__name__ in ("relu", "relu_", "relu6", "hardtanh", "max_pool2d", "boolean_dispatch"):
            x = args[0].clone()
            kinds = {"relu6": "relu6", "hardtanh": "relu6", "relu": "relu", "relu_": "relu"}
            self.seen.append((kinds.get(func.__name__, "max"), x, args[1:], kwargs or {}))
        return func(*args, **(kwargs or {}))


def distances(kind, x, args, kwargs):
    if kind == "relu":
        return x.abs()
    if kind == "relu6":
        return torch.minimum(x.abs(), (x - 6).abs())
    kernel, stride, pad = (args + (kwargs.get("stride"), kwargs.get("padding", 0)))[:3]
    windows = torch.nn.functional.pad(x, (pad,) * 4, value=-torch.inf).unfold(2, kernel, stride).unfold(3, kernel, stride)
    top = windows.reshape(*windows.shape[:4], -1).topk(2, dim=-1).values
    return (top[..., 0] - top[..., 1])[top[..., 0] > 0]  # all zeros: the rectifier before it passes nothing


def margin(network):
    least = float("inf")
    for mode in ("inference", "training"):
        records = []
        for dtype in (torch.float64, torch.float32):
            net = network.build(mode, dtype)
            with torch.no_grad(), Record() as record:
                net(network.images(dtype))
            records.append(record.seen)
        assert len(records[0]) == len(records[1]) > 0
        for (kind, x, args, kwargs), (_, y, _, _) in zip(*records):
            error = float((x - y).pow(2).mean().sqrt())
            least = min(least, float(distances(kind, x, args, kwargs).min()) / error)
    return least


def main(name, seeds=20):
    network = NETWORKS[name]
    for seed in range(1, int(seeds) + 1):
        network.seed = seed
        print(name, seed, f"{margin(network):.2f}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
