#!/usr/bin/env python3
"""Writes expected_models.inc: what the published implementations say of every network graft builds.

    pip install torch torchvision efficientnet-lite-pytorch
    ./make_expected.py > expected_models.inc

A row: name, number of tensors, trainable parameters, multiply-adds of one image at the published size, resize, crop,
bicubic, and FNV-1a (64 bit) of the sorted lines

    tensor <name> <extents joined by x>          parameters and running statistics
    batch_norm <name> <eps · 1e9> <momentum · 1e9>
    dropout <name> <p · 1e9>                     stochastic depth: torchvision's only, the others have no module for it

ResNets for CIFAR: definitions.py of ../expectations, checked there against the published weights.
"""
import pathlib
import sys

import torch
import torchvision
from efficientnet_lite_pytorch import EfficientNet as Lite
from torch import nn

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "expectations"))
from definitions import CifarResNet  # noqa: E402


def billionths(x):
    return round(x * 1e9)


def lines_of(model):
    for name, tensor in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            yield f"tensor {name} {'x'.join(map(str, tensor.shape))}"
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            yield f"batch_norm {name} {billionths(module.eps)} {billionths(module.momentum)}"
        if isinstance(module, nn.Dropout):
            yield f"dropout {name} {billionths(module.p)}"
        if getattr(module, "use_res_connect", False):  # torchvision makes the module in every block, and uses it here
            yield f"dropout {name}.stochastic_depth {billionths(module.stochastic_depth.p)}"


def fnv1a(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def multiply_adds(model, size):
    total = 0

    def count(module, _, y):
        nonlocal total
        total += y.numel() * module.weight[0].numel()

    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(count)
    with torch.no_grad():
        model.eval()(torch.empty(1, 3, size, size, device="meta"))
    return total


def row(name, make, resize, crop, bicubic):
    with torch.device("meta"):
        model = make()
    lines = sorted(lines_of(model))
    tensors = sum(line.startswith("tensor") for line in lines)
    parameters = sum(p.numel() for p in model.parameters())
    print(
        f'{{"{name}", {tensors}, {parameters}, {multiply_adds(model, crop)}, {resize}, {crop}, {str(bicubic).lower()}, '
        f"0x{fnv1a(''.join(line + chr(10) for line in lines)):016x}u}},"
    )


def main():
    names = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "wide_resnet50_2"]
    names += [f"vgg{depth}{suffix}" for depth in (11, 13, 16, 19) for suffix in ("", "_bn")]
    names += [f"efficientnet_b{i}" for i in range(8)]
    for name in names:
        transform = torchvision.models.get_model_weights(name).IMAGENET1K_V1.transforms()
        bicubic = transform.interpolation.value == "bicubic"
        make = lambda: torchvision.models.get_model(name)  # noqa: E731
        row(name, make, transform.resize_size[0], transform.crop_size[0], bicubic)
    for depth in (20, 32, 44, 56, 110):
        row(f"resnet{depth}", lambda: CifarResNet(depth), 0, 32, False)
    for i, size in enumerate((224, 240, 260, 280, 300)):
        row(f"efficientnet_lite{i}", lambda: Lite.from_name(f"efficientnet-lite{i}"), size + 32, size, True)


if __name__ == "__main__":
    main()
