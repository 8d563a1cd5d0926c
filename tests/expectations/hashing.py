"""Numbers that Python and C++ make alike, bit for bit (tests/support/hash_weights.h and projections.h are the twins).

    hash(key, i)  = murmur3's 32-bit finalizer of fnv1a(key) ^ (i * 0x9E3779B9)      all modulo 2^32
    unit(key, i)  = ((hash >> 8) - 2^23) / 2^23                                      exact in f32, in [-1, 1)

A tensor's elements are counted in row-major order of its PyTorch shape. `fill` scales `unit` with one f32 rounding;
`project` takes the f64 products with 16 vectors of ones and minus ones, whose signs are the low 16 bits of a hash.
"""

import math

import numpy as np

PROJECTIONS = 16
CHUNK = 1 << 20


def fnv1a(key):
    h = 0x811C9DC5
    for byte in key.encode():
        h = (h ^ byte) * 0x01000193 & 0xFFFFFFFF
    return h


def hashes(key, first, last):
    h = np.arange(first, last, dtype=np.uint32) * np.uint32(0x9E3779B9) ^ np.uint32(fnv1a(key))
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x85EBCA6B)
    h ^= h >> np.uint32(13)
    h *= np.uint32(0xC2B2AE35)
    h ^= h >> np.uint32(16)
    return h


def unit(key, first, last):
    return ((hashes(key, first, last) >> np.uint32(8)).astype(np.int32) - (1 << 23)).astype(np.float32) * np.float32(2**-23)


def fill(name, shape, seed, gain, damped=""):
    """A parameter or buffer. `gain` scales what has a fan-in: the variance of a weight is gain / 3 / fan_in.

    The batch norms whose last component is `damped` count a quarter: those that end the residual branches of a deep
    network, which is chaotic otherwise (in training mode, ResNet-50's gradients in f32 would be off by 3 %).
    """
    numel = math.prod(shape)
    u = np.empty(numel, np.float32)
    for first in range(0, numel, CHUNK):
        last = min(first + CHUNK, numel)
        u[first:last] = unit(f"{seed}:{name}", first, last)
    if len(shape) > 1:
        u *= np.float32(math.sqrt(gain / math.prod(shape[1:])))
    elif name.endswith(".running_var"):
        u = np.float32(1) + u * np.float32(0.5)
    elif name.endswith(".weight"):  # of a batch norm
        u = np.float32(1) + u * np.float32(0.25)
    else:  # bias, running_mean
        u *= np.float32(0.125)
    if damped and name.split(".")[-2] == damped and name.endswith((".weight", ".bias")):
        u *= np.float32(0.25)
    return u.reshape(shape)


def image(shape, seed):
    return unit(f"{seed}:input", 0, math.prod(shape)).reshape(shape)


def project(name, values):
    """The norm of a tensor, and its products with the sign vectors (bit k of the hash set: minus one)."""
    flat = np.ascontiguousarray(values).reshape(-1)
    squares, sums = 0.0, np.zeros(PROJECTIONS)
    for first in range(0, flat.size, CHUNK):
        x = flat[first : first + CHUNK].astype(np.float64)
        h = hashes(f"sign:{name}", first, first + x.size)
        squares += float(x @ x)
        for k in range(PROJECTIONS):
            sums[k] += float(x @ (1.0 - 2.0 * (h >> np.uint32(k) & np.uint32(1))))
    return math.sqrt(squares), sums
