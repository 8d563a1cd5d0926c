"""What PyTorch makes of whole networks with weights from a hash: writes networks/<name>.json.

    python make_networks.py [NAME…]        needs torch and torchvision; about ten minutes for all

Every network runs in f64 and f32 with the same weights (f32 values), images and labels, in inference mode (running
statistics) and training mode (batch statistics), dropout and stochastic depth off. Of each tensor (logits, gradient
of every parameter, running statistics after the step) the file holds the f64 norm, 16 projections of the f64 values
(hashing.py), and f32's own error: |x32 - x64| / max(|x64|, 1e-6 of the norm of the tensor's whole group), the largest
of PyTorch's two memory formats, each as it is and with every weight and pixel moved by one unit in the last place,
up or down at random, three times. Runs that round differently let another gradient pass wherever a rectifier's input
is that near to zero; one run alone would say nothing of how often that happens.
"""

import json
import math
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F
import torchvision

import hashing
from definitions import CifarResNet, EfficientNetLite0

tv = torchvision.models


class Network:
    """A network with its hashed weights. The gain is such that inference mode neither dies out nor explodes: the logits
    are near 1 and depend on the image. The seed is one that find_seeds.py recommends where it could find one: among the
    millions of rectifiers of a large network, some always lie within rounding error of zero."""

    def __init__(self, make, seed, gain, size=64, classes=1000, damped=""):
        self.make, self.seed, self.gain, self.damped = make, seed, gain, damped
        self.shape = (3, 3, size, size)
        self.labels = [int(h) % classes for h in hashing.hashes(f"{seed}:labels", 0, self.shape[0])]

    def build(self, mode, dtype, layout=torch.contiguous_format):
        net = self.make()
        with torch.no_grad():
            for name, tensor in net.state_dict().items():
                if not name.endswith("num_batches_tracked"):
                    values = hashing.fill(name, tuple(tensor.shape), self.seed, self.gain, self.damped)
                    tensor.copy_(torch.from_numpy(values))
        return net.to(dtype=dtype, memory_format=layout).train(mode == "training")

    def images(self, dtype, layout=torch.contiguous_format):
        return torch.from_numpy(hashing.image(self.shape, self.seed)).to(dtype=dtype).to(memory_format=layout)


def efficientnet(make):
    return lambda: make(dropout=0, stochastic_depth_prob=0)


NETWORKS = {
    "resnet18": Network(tv.resnet18, seed=36, gain=3.5),
    "resnet50": Network(tv.resnet50, seed=2, gain=3, damped="bn3"),
    "vgg11_bn": Network(lambda: tv.vgg11_bn(dropout=0), seed=2, gain=6),
    "vgg16": Network(lambda: tv.vgg16(dropout=0), seed=1, gain=7),
    "efficientnet_b0": Network(efficientnet(tv.efficientnet_b0), seed=1, gain=7),
    "efficientnet_b3": Network(efficientnet(tv.efficientnet_b3), seed=1, gain=6.5),
    "efficientnet_lite0": Network(EfficientNetLite0, seed=14, gain=6),
    "resnet20": Network(lambda: CifarResNet(20), seed=23, gain=4, size=32, classes=10),
}


JITTERS = 3


def jittered(tensor, generator):
    """Each f32 value moved by one unit in the last place, up or down."""
    up = torch.rand(tensor.shape, generator=generator) < 0.5
    ends = torch.where(up, torch.tensor(torch.inf), torch.tensor(-torch.inf))
    return torch.nextafter(tensor, ends)


def step(network, mode, dtype, layout, jitter=None):
    """One forward and backward: {group: {name: f64 or f32 array}}."""
    net = network.build(mode, dtype, layout)
    images = network.images(dtype, layout)
    if jitter is not None:
        generator = torch.Generator().manual_seed(jitter)
        images = jittered(images, generator)
        with torch.no_grad():
            for p in net.parameters():
                p.copy_(jittered(p, generator))
    logits = net(images)
    loss = F.cross_entropy(logits, torch.tensor(network.labels))
    loss.backward()
    groups = {
        "outputs": {"logits": logits.detach().numpy(), "loss": loss.detach().numpy().reshape(1)},
        "gradients": {name: p.grad.numpy() for name, p in net.named_parameters()},
    }
    if mode == "training":
        groups["running"] = {name: b.numpy() for name, b in net.named_buffers() if "running" in name}
    return groups


def norm(values):
    return float(np.linalg.norm(values.astype(np.float64)))


def expectation(name, x64, x32s, floor):
    scale = max(norm(x64), floor)
    total, sums = hashing.project(name, x64)
    errors = [norm(x32 - x64) / scale for x32 in x32s]
    rounded = lambda v, digits: float(f"{v:.{digits}g}")
    return {
        "shape": list(x64.shape),
        "norm": rounded(total, 9),
        "f32_error": rounded(max(errors), 3),
        "projections": [rounded(s, 9) for s in sums],
    }, errors


def make_mode(network, mode):
    exact = step(network, mode, torch.float64, torch.contiguous_format)
    singles = [step(network, mode, torch.float32, layout, jitter)
               for jitter in (None, *range(JITTERS))
               for layout in (torch.contiguous_format, torch.channels_last)]
    result = {}
    for group, tensors in exact.items():
        floor = 1e-6 * math.sqrt(sum(norm(t) ** 2 for t in tensors.values()))
        result[group] = {}
        worst = {}
        for name, x64 in tensors.items():
            result[group][name], worst[name] = expectation(name, x64, [s[group][name] for s in singles], floor)
        assert all(np.isfinite(t).all() for t in tensors.values())
        norms = {n: norm(t) for n, t in tensors.items()}
        least, most = min(norms, key=norms.get), max(norms, key=norms.get)
        print(f"  {mode} {group}: norms {norms[least]:.3g} ({least}) to {norms[most]:.3g} ({most}); f32 error at most",
              *(f"{max(e[i] for e in worst.values()):.2g}" for i in range(len(singles))), flush=True)
    return result


def has_statistics(network):
    return any("running" in name for name, _ in network.make().named_buffers())


def dump(expected, path):
    """JSON with one tensor a line, so that a change is read as one."""
    lines = []
    for mode, groups in expected["modes"].items():
        blocks = []
        for group, tensors in groups.items():
            rows = ",\n".join(f"{json.dumps(n)}:{json.dumps(t, separators=(',', ':'))}" for n, t in tensors.items())
            blocks.append(f"{json.dumps(group)}:{{\n{rows}}}")
        lines.append(f"{json.dumps(mode)}:{{{','.join(blocks)}}}")
    head = json.dumps({k: v for k, v in expected.items() if k != "modes"})[:-1]
    path.write_text(f"{head},\n\"modes\":{{{','.join(lines)}}}}}\n")


def main(names):
    torch.set_float32_matmul_precision("highest")
    here = pathlib.Path(__file__).parent / "networks"
    for name in names or NETWORKS:
        network = NETWORKS[name]
        print(name, flush=True)
        modes = {"inference": make_mode(network, "inference")}
        # Without batch norms the modes are one, as nothing is dropped.
        modes["training"] = make_mode(network, "training") if has_statistics(network) else modes["inference"]
        dump({
            "network": name, "seed": network.seed, "gain": network.gain, "damped": network.damped,
            "input": list(network.shape), "labels": network.labels,
            "made_with": f"torch {torch.__version__.split('+')[0]}, torchvision {torchvision.__version__.split('+')[0]}",
            "modes": modes,
        }, here / f"{name}.json")


if __name__ == "__main__":
    main(sys.argv[1:])
