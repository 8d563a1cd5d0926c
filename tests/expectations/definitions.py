"""Networks that torchvision lacks, with the parameter names of their original repositories."""

import torch
import torch.nn.functional as F
from torch import nn


class CifarBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.extra = stride, outputs - inputs

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        # Option A of He et al. 2015, §4.2: every other pixel, new channels of zeros, half of them on each side.
        half = self.extra // 2
        shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, half))
        return F.relu(y + shortcut)


class CifarResNet(nn.Module):
    """ResNet for 32x32 images, depth 6n + 2: He et al. 2015, §4.2; names as in akamaster/pytorch_resnet_cifar10."""

    def __init__(self, depth, classes=10):
        super().__init__()
        n = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self._stage(n, 16, 16, 1)
        self.layer2 = self._stage(n, 16, 32, 2)
        self.layer3 = self._stage(n, 32, 64, 2)
        self.linear = nn.Linear(64, classes)

    @staticmethod
    def _stage(n, inputs, outputs, stride):
        return nn.Sequential(CifarBlock(inputs, outputs, stride), *(CifarBlock(outputs, outputs, 1) for _ in range(n - 1)))

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


class SameConv2d(nn.Conv2d):
    """TensorFlow's SAME padding: ceil(size / stride) outputs, the odd pixel at the bottom and on the right."""

    def forward(self, x):
        pads = []
        for axis in (3, 2):  # F.pad begins with the last axis
            size, kernel, stride = x.shape[axis], self.kernel_size[axis - 2], self.stride[axis - 2]
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pads), self.weight, None, self.stride, 0, 1, self.groups)


def same_conv(inputs, outputs, kernel, stride=1, groups=1):
    return SameConv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)


def lite_norm(channels):
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class LiteBlock(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride, expand):
        super().__init__()
        inner = inputs * expand
        if expand != 1:
            self._expand_conv, self._bn0 = same_conv(inputs, inner, 1), lite_norm(inner)
        self._depthwise_conv, self._bn1 = same_conv(inner, inner, kernel, stride, inner), lite_norm(inner)
        self._project_conv, self._bn2 = same_conv(inner, outputs, 1), lite_norm(outputs)
        self.expands, self.residual = expand != 1, stride == 1 and inputs == outputs

    def forward(self, x):
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return y + x if self.residual else y


class EfficientNetLite0(nn.Module):
    """EfficientNet-B0 without squeeze-and-excite, ReLU6 for SiLU; names as in PyPI's efficientnet-lite-pytorch."""

    # kernel, stride, expand, outputs, repeats: Tan & Le 2019, table 1
    STAGES = [(3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1)]

    def __init__(self, classes=1000):
        super().__init__()
        self._conv_stem, self._bn0 = same_conv(3, 32, 3, 2), lite_norm(32)
        self._blocks, channels = nn.ModuleList(), 32
        for kernel, stride, expand, outputs, repeats in self.STAGES:
            for i in range(repeats):
                self._blocks.append(LiteBlock(channels, outputs, kernel, stride if i == 0 else 1, expand))
                channels = outputs
        self._conv_head, self._bn1 = same_conv(channels, 1280, 1), lite_norm(1280)
        self._fc = nn.Linear(1280, classes)

    def forward(self, x):
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        x = F.relu6(self._bn1(self._conv_head(x)))
        return self._fc(x.mean((2, 3)))
