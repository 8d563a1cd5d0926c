"""Makes the small files beside this script: python3 make_files.py (with PyTorch; version 2.15 made those committed).

Element i of a tensor is ((7 i) mod 23 - 11) / 8, exact in every floating-point type; formats.cpp knows the formula.
"""
import argparse
import collections
import pathlib

import numpy
import torch

FOLDER = pathlib.Path(__file__).parent / "files"


def values(*shape, dtype=torch.float32):
    count = int(numpy.prod(shape))
    return ((torch.arange(count) * 7 % 23 - 11) / 8).reshape(shape).to(dtype)


def save(name, value, **options):
    path = FOLDER / name
    torch.save(value, path, **options)
    print(f"{path.stat().st_size:6} {name}")


def types():
    return collections.OrderedDict(
        f64=values(5, dtype=torch.float64),
        f32=values(2, 3, 1, 2),
        f16=values(7, dtype=torch.float16),
        bf16=values(7, dtype=torch.bfloat16),
        i64=torch.tensor([-3, 1 << 40]),
        i32=torch.tensor([-4, 1 << 20], dtype=torch.int32),
        i16=torch.tensor([-5, 500], dtype=torch.int16),
        i8=torch.tensor([-6, 100], dtype=torch.int8),
        u8=torch.tensor([0, 255], dtype=torch.uint8),
        bool=torch.tensor([True, False, True]),
        scalar=torch.tensor(2.5),
        empty=torch.empty(0, 3),
    )


def views():
    base = values(6, 4)
    tied = values(3, 2)
    return collections.OrderedDict(
        transposed=base.t(),
        sliced=base[1:5:2, 1:4],
        column=base[:, 2],
        expanded=values(3, 1).expand(3, 5),
        channels_last=values(2, 3, 2, 2).contiguous(memory_format=torch.channels_last),
        tied_a=tied,
        tied_b=tied,
        parameter=torch.nn.Parameter(values(4)),
    )


def checkpoint():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    with torch.no_grad():
        model[0].weight.copy_(values(2, 2))
        model[0].bias.copy_(values(2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.ones(3, 2)).sum().backward()
    optimizer.step()
    with torch.no_grad():
        model[0].weight.copy_(values(2, 2))
        model[0].bias.copy_(values(2))
    return {
        "epoch": 3,
        "arch": "tiny",
        "args": argparse.Namespace(lr=0.1, classes={"ant", "bee"}, path=pathlib.PurePosixPath("x")),
        "optimizer": optimizer.state_dict(),
        "state_dict": collections.OrderedDict(("module." + k, v) for k, v in model.state_dict().items()),
        "best_prec1": numpy.float64(91.25),
        "device": torch.device("cpu"),
        "history": numpy.zeros(3, dtype=numpy.float32),
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    save("types.pth", types())
    save("types.th", types(), _use_new_zipfile_serialization=False)
    save("views.pth", views(), pickle_protocol=4)
    save("views.th", views(), _use_new_zipfile_serialization=False, pickle_protocol=5)
    save("checkpoint.pth", checkpoint())
    save("checkpoint.th", checkpoint(), _use_new_zipfile_serialization=False)
    save("small.pth", {"w": values(3)})
    save("small.th", {"w": values(3)}, _use_new_zipfile_serialization=False)
    torch.serialization.set_crc32_options(False)
    save("no_crc.pth", {"w": values(3)})
