"""Writes real_facts.inc: sums of tensors of real weights files as PyTorch reads them.

python3 real_facts.py ../shared/data > real_facts.inc
"""
import pathlib
import sys

import torch

FILES = {
    "efficientnet_lite0/efficientnet-lite0-57934424.pth": None,
    "resnet_cifar10/resnet20-12fca82f.th": "state_dict",
    "resnet_cifar10/resnet32-d509ac18.th": "state_dict",
}

print(f"// Made by real_facts.py with PyTorch {torch.__version__.split('+')[0]}: tensors, elements, the sums over all of")
print("// x and of |x|, and of some tensors: index, name, shape, sum of x, sum of |x|.")
for name, key in FILES.items():
    state = torch.load(pathlib.Path(sys.argv[1]) / name, map_location="cpu", weights_only=False)
    state = {k.removeprefix("module."): v.double() for k, v in (state[key] if key else state).items()}
    every = torch.cat([v.flatten() for v in state.values()])
    print(f'{{"{name}", {len(state)}, {every.numel()}, {every.sum():.17g}, {every.abs().sum():.17g}, {{')
    for i, (tensor, v) in enumerate(state.items()):
        if i % 37 == 0:
            shape = ", ".join(map(str, v.shape))
            print(f'  {{{i}, "{tensor}", {{{shape}}}, {v.sum():.17g}, {v.abs().sum():.17g}}},')
    print("}},")
