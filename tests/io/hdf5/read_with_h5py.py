#!/usr/bin/env python3
"""Prints a file as h5py sees it, a JSON line for each object: numbers as C's hexadecimal floats, texts as texts.

Exit code 3: h5py is not installed.
"""

import json
import sys

try:
    import h5py
except ImportError:
    sys.exit(3)


def text(value):
    return value.decode("utf-8") if isinstance(value, bytes) else value


def attributes(node):
    return {name: text(v) if isinstance(v, (bytes, str)) else int(v) for name, v in node.attrs.items()}


def show(path, node):
    row = {"path": path, "attributes": attributes(node)}
    if isinstance(node, h5py.Dataset):
        row["type"] = str(node.dtype)
        row["shape"] = list(node.shape)
        values = node[()].reshape(-1).tolist() if node.shape else [node[()]]
        row["values"] = [text(v) if isinstance(v, (bytes, str)) else float(v).hex() for v in values]
    print(json.dumps(row))


with h5py.File(sys.argv[1], "r") as file:
    show("", file)
    file.visititems(show)
