"""Writes pytorch_numbers.h: what PyTorch says of some small cases, in f64. Run with any PyTorch 2: python pytorch.py"""
import os

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
lines = []


def pattern(shape, multiplier):  # as in support.h
    count = torch.Size(shape).numel()
    return ((torch.arange(count) * multiplier + 3) % 23 - 11).double().div(8).reshape(shape)


def emit(name, tensor):
    numbers = ", ".join(repr(v) for v in tensor.detach().flatten().tolist())
    lines.append(f"inline const std::vector<double> {name} = {{{numbers}}};")


def nchw(x):
    return x.permute(0, 3, 1, 2)


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def leaf(shape, multiplier):
    return pattern(shape, multiplier).requires_grad_()


# Convolution: x [2,5,6,4], weight [6,3,2,2] in 2 groups, stride (2,1), dilation (1,2), pads top 1 bottom 2 left 0 right 1
x, weight, bias, residual = leaf([2, 5, 6, 4], 5), leaf([6, 3, 2, 2], 7), pattern([6], 3), pattern([2, 3, 5, 6], 9)
padded = F.pad(nchw(x), (0, 1, 1, 2))
y = nhwc(F.conv2d(padded, weight.permute(0, 3, 1, 2), stride=(2, 1), dilation=(1, 2), groups=2))
emit("conv2d_y", F.silu(y + bias + residual))
y.backward(pattern([2, 3, 5, 6], 11))
emit("conv2d_dx", x.grad)
emit("conv2d_dweight", weight.grad)

# Depthwise: x [1,5,4,3], weight [3,3,3], stride 2, pad 1
x, weight, bias = leaf([1, 5, 4, 3], 5), leaf([3, 3, 3], 7), pattern([3], 3)
y = nhwc(F.conv2d(nchw(x), weight.permute(2, 0, 1)[:, None], stride=2, padding=1, groups=3))
emit("depthwise_y", F.relu6(y + bias))
y.backward(pattern([1, 3, 2, 3], 11))
emit("depthwise_dx", x.grad)
emit("depthwise_dweight", weight.grad)

# Batch norm, training, + residual, ReLU; the running statistics after it
x, residual = leaf([2, 2, 3, 2], 5), leaf([2, 2, 3, 2], 9)
weight, bias = leaf([2], 7), leaf([2], 3)
running_mean, running_var = pattern([2], 6), pattern([2], 2).abs()
y = F.relu(nhwc(F.batch_norm(nchw(x), running_mean, running_var, weight, bias, training=True, momentum=0.25)) + residual)
emit("batch_norm_y", y)
emit("batch_norm_running_mean", running_mean)
emit("batch_norm_running_var", running_var)
y.backward(pattern([2, 2, 3, 2], 11))
for name, tensor in dict(x=x, weight=weight, bias=bias, residual=residual).items():
    emit(f"batch_norm_d{name}", tensor.grad)

# Pooling of x [1,5,7,2]
x = leaf([1, 5, 7, 2], 5)
y = nhwc(F.max_pool2d(nchw(x), 3, stride=2, padding=1))
emit("max_pool_y", y)
y.backward(pattern(y.shape, 11))
emit("max_pool_dx", x.grad)
x = leaf([1, 5, 7, 2], 5)
y = nhwc(F.avg_pool2d(nchw(x), (3, 2), stride=(1, 2), padding=(1, 1), count_include_pad=False))
emit("avg_pool_y", y)
y.backward(pattern(y.shape, 11))
emit("avg_pool_dx", x.grad)
x = leaf([1, 5, 7, 2], 5)
y = nhwc(F.adaptive_avg_pool2d(nchw(x), (3, 4)))
emit("adaptive_avg_pool_y", y)
y.backward(pattern(y.shape, 11))
emit("adaptive_avg_pool_dx", x.grad)

# Softmax and cross-entropy of logits [4,5]
logits, weights = leaf([4, 5], 5), pattern([5], 7).abs()
loss = F.cross_entropy(logits, torch.tensor([4, 0, 2, 2]), weight=weights, label_smoothing=0.1)
emit("cross_entropy_loss", loss)
(loss * 3).backward()
emit("cross_entropy_dlogits", logits.grad)
logits = leaf([4, 5], 5)
p = F.softmax(logits, dim=-1)
emit("softmax_y", p)
p.backward(pattern([4, 5], 11))
emit("softmax_dx", logits.grad)

# silu of x [9] and its gradient
x = leaf([9], 5)
y = F.silu(x)
emit("silu_y", y)
y.backward(pattern([9], 11))
emit("silu_dx", x.grad)

# Three steps of each optimiser on a parameter of 5, the gradient of step k being pattern(5, 7 + k)
for name, make in {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.02),
}.items():
    parameter = leaf([5], 5)
    optimiser = make([parameter])
    for k in range(3):
        parameter.grad = pattern([5], 7 + k)
        optimiser.step()
    emit(f"{name}_parameter", parameter)

header = f"""// Made by pytorch.py with PyTorch {torch.__version__.split('+')[0]}. Images are [N, H, W, C].
#pragma once
#include <vector>

// clang-format off
namespace graft::test::pytorch {{

"""
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pytorch_numbers.h")
with open(path, "w") as f:
    f.write(header + "\n".join(lines) + "\n\n}  // namespace graft::test::pytorch\n// clang-format on\n")
