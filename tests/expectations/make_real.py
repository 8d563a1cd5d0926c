"""What PyTorch says with real weights about real images: writes real/<name>.json.

    python make_real.py DATA        needs torch and pillow; DATA holds efficientnet_lite0/, resnet_cifar10/, …
"""

import json
import pathlib
import sys

import numpy as np
import torch
from PIL import Image

from definitions import CifarResNet, EfficientNetLite0

OUT = pathlib.Path(__file__).parent / "real"


def lite0_input(path):
    """Bicubic to 256 on the short side, the central 224 x 224, (x - 127) / 128."""
    image = Image.open(path).convert("RGB")
    w, h = image.size
    short = min(w, h)
    # the long side is rounded down, the crop's corner to the nearest: as torchvision does
    image = image.resize((256 * w // short, 256 * h // short), Image.Resampling.BICUBIC)
    left, top = round((image.width - 224) / 2), round((image.height - 224) / 2)
    x = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32)
    return torch.from_numpy((x - 127) / 128).permute(2, 0, 1)


def photos(data):
    net = EfficientNetLite0()
    net.load_state_dict(torch.load(data / "efficientnet_lite0/efficientnet-lite0-57934424.pth", map_location="cpu", weights_only=True))
    net.eval()
    result = {}
    for name in ("chelsea.png", "coffee.png"):
        with torch.no_grad():
            logits = net(lite0_input(data / "photos" / name)[None])[0]
        top = logits.softmax(0).topk(5)
        result[name] = [{"index": int(i), "probability": round(float(p), 6), "logit": round(float(logits[i]), 5)}
                        for p, i in zip(top.values, top.indices)]
    return result


def cifar(data, depth, file):
    """The class each image of each folder gets, as a digit, folders and files in the order of their names."""
    net = CifarResNet(depth)
    state = torch.load(data / "resnet_cifar10" / file, map_location="cpu", weights_only=True)["state_dict"]
    state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    missing, unexpected = net.load_state_dict(state, strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing)
    net.eval()
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    classes = sorted(p.name for p in (data / "cifar10_test1000").iterdir() if p.is_dir())
    result, wrong, least = {}, 0, 1e9
    for index, name in enumerate(classes):
        files = sorted((data / "cifar10_test1000" / name).iterdir(), key=lambda p: p.name)
        images = np.stack([np.asarray(Image.open(f).convert("RGB"), np.float32) for f in files])
        with torch.no_grad():
            logits = net(torch.from_numpy((images / 255 - mean) / std).permute(0, 3, 1, 2))
        best = logits.topk(2).values
        least = min(least, float((best[:, 0] - best[:, 1]).min()))
        answers = logits.argmax(1)
        wrong += int((answers != index).sum())
        result[name] = "".join(map(str, answers.tolist()))
    # The smallest distance between the two best logits says how near PyTorch itself is to another answer.
    return {"wrong": wrong, "smallest_margin": round(least, 6), "predicted": result}


def main(data):
    OUT.mkdir(exist_ok=True)
    answers = {
        "efficientnet_lite0": photos(data),
        "resnet20": cifar(data, 20, "resnet20-12fca82f.th"),
        "resnet32": cifar(data, 32, "resnet32-d509ac18.th"),
    }
    for name, answer in answers.items():
        (OUT / f"{name}.json").write_text(json.dumps(answer, indent=1) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
