#!/usr/bin/env python3
"""Writes the hostile HDF5 files of tests/io/hdf5/hostile.cpp into the folder "hostile" beside this script (needs h5py).

Each is what a careless or malicious writer could make with the HDF5 library; h5py opens them all. They are committed, and
small: most of their bytes are zeros.
"""
import os
import sys

import h5py
import numpy as np

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hostile")


def hostile(build, name, **options):
    options = {"libver": ("v110", "v110"), **options}
    with h5py.File(os.path.join(FOLDER, name + ".h5"), "w", **options) as f:
        f.attrs.create("graft_format", 1, dtype="<u8")
        f.create_group("parameters")
        build(f)


def weight(f, name="parameters/w", **options):
    d = f.create_dataset(name, data=np.arange(4, dtype="<f4"), track_times=False, **options)
    d.attrs.create("xxh3", 0, dtype="<u8")
    return d


def external_storage(f):
    f.create_dataset("parameters/w", (4,), "<f4", external=[("/etc/passwd", 0, 16)])


def virtual(f):
    layout = h5py.VirtualLayout((4,), "<f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "d", (4,))
    f.create_virtual_dataset("parameters/w", layout)


def raw_dataset(f, dims, maximum=None):
    """A contiguous data set that claims a shape without ever allocating it."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
    space = h5py.h5s.create_simple(dims, maximum)
    h5py.h5d.create(f["parameters"].id, b"w", h5py.h5t.IEEE_F32LE, space, plist)


def patch(name, old, new):
    """Old-format files have no checksums in their metadata: numbers can simply be replaced."""
    path = os.path.join(FOLDER, name + ".h5")
    with open(path, "rb") as f:
        data = f.read()
    assert data.count(old.to_bytes(8, "little")) >= 1
    with open(path, "wb") as f:
        f.write(data.replace(old.to_bytes(8, "little"), new.to_bytes(8, "little")))


def nested(f, depth=40):
    g = f
    for _ in range(depth):
        g = g.create_group("g")


def cycle(f):
    f["parameters/again"] = f["/"]


def two_names(f):
    weight(f)
    f["parameters/v"] = f["parameters/w"]


def named_type(f):
    f["parameters/type"] = np.dtype("<f4")


def compound(f):
    f.create_dataset("parameters/w", data=np.zeros(2, [("a", "<f4"), ("b", "<i4")]))


def variable_strings(f):
    f.create_dataset("parameters/w", data=["one", "two"], dtype=h5py.string_dtype())


def variable_attribute(f):
    weight(f).attrs["axes"] = "OI"


def long_name(f):
    weight(f, "parameters/" + "n" * 2000)


def control_name(f):
    weight(f, "parameters/w\x1b[2J")


def many_attributes(f):
    for i in range(100):
        f.attrs.create(f"a{i}", i, dtype="<u8")


CASES = {
    "external_link": lambda f: f.__setitem__("parameters/w", h5py.ExternalLink("/etc/passwd", "/x")),
    "soft_link": lambda f: f.__setitem__("parameters/w", h5py.SoftLink("/parameters/w")),
    "external_storage": external_storage,
    "virtual": virtual,
    "chunked": lambda f: weight(f, chunks=(2,)),
    "filter": lambda f: weight(f, chunks=(4,), compression="gzip"),
    "huge_shape": lambda f: raw_dataset(f, (2**40, 2**19)),
    "nested": nested,
    "cycle": cycle,
    "two_names": two_names,
    "named_type": named_type,
    "compound": compound,
    "variable_strings": variable_strings,
    "variable_attribute": variable_attribute,
    "long_name": long_name,
    "control_name": control_name,
    "many_attributes": many_attributes,
    "big_endian": lambda f: f.create_dataset("parameters/w", data=np.zeros(2, ">f4")).attrs.create("xxh3", 0, dtype="<u8"),
    "no_sum": lambda f: f.create_dataset("parameters/w", data=np.zeros(2, "<f4")),
    "wrong_sum": weight,
    "seven_axes": lambda f: f.create_dataset("parameters/w", data=np.zeros((1,) * 7, "<f4")),
}


def main():
    os.makedirs(FOLDER, exist_ok=True)
    for name, build in CASES.items():
        hostile(build, name)
    hostile(weight, "user_block", userblock_size=512)
    hostile(weight, "old_format", libver=("earliest", "v110"))
    for name, extent in (("overflowing_shape", 2**62), ("negative_shape", 2**64 - 1)):
        hostile(lambda f: raw_dataset(f, (3, 0x1122334455, 5)), name, libver=("earliest", "v110"))
        patch(name, 0x1122334455, extent)
    hostile(weight, "outside", libver=("earliest", "v110"))
    with h5py.File(os.path.join(FOLDER, "outside.h5")) as f:
        offset = f["parameters/w"].id.get_offset()
    patch("outside", offset, 2**40)
    with h5py.File(os.path.join(FOLDER, "foreign.h5"), "w", libver=("v110", "v110")) as f:
        f.create_dataset("x", data=np.zeros(2, "<f4"))
    sizes = {n: os.path.getsize(os.path.join(FOLDER, n)) for n in sorted(os.listdir(FOLDER))}
    print(sizes, sum(sizes.values()), file=sys.stderr)


if __name__ == "__main__":
    main()
