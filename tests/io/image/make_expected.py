#!/usr/bin/env python3
"""Writes data/: small odd JPEG and PNG files, and what Pillow and torchvision make of them.

    python tests/io/image/make_expected.py [FOLDER_OF_TEST_DATA]

Made with Pillow 13.0.0 (libjpeg-turbo 3.2.0) and torchvision 0.29.2. With the folder of test data, also
expected_photos.txt and expected_hymenoptera.txt. A picture is written down as its size, the CRC-32 of its RGB bytes and
the sum of each channel; the JPEG files' pixels, which may differ by one level between versions of libjpeg, as PNG.
"""
import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import torch
import torchvision.transforms as T
import torchvision.transforms.functional as F
from PIL import Image, ImageOps

HERE = Path(__file__).parent
DATA = HERE / "data"


# ---- pictures -------------------------------------------------------------------------------------------------------

def noise(width, height):
    """pixels.h has the same formula."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    v = ((x * 73856093) ^ (y * 19349663) ^ (c * 83492791)) & 0xFFFFFFFF
    v = (v ^ v >> 13) * 0x5BD1E995 & 0xFFFFFFFF
    return Image.fromarray(((v ^ v >> 15) & 255).astype(np.uint8))


def smooth(width, height):
    y, x = np.mgrid[0:height, 0:width]
    r, g, b = 255 * x // max(width - 1, 1), 255 * y // max(height - 1, 1), (x * 37 + y * 11) % 256
    return Image.fromarray(np.stack([r, g, b], -1).astype(np.uint8))


def as_graft_sees(image):
    """RGB, upright, over white: the intended meaning, by Pillow's own means."""
    if image.mode == "I;16":  # Pillow clips to 255; graft takes the upper byte
        image = Image.fromarray((np.array(image) >> 8).astype(np.uint8))
    if image.format == "PNG" and image.mode == "L" and "/gray2" in image.filename:
        image.load()  # Pillow compares a key of 2 bits with grey levels of 8, and finds none
        if "transparency" in image.info:
            image.info["transparency"] *= 85
    image = ImageOps.exif_transpose(image)
    if image.mode in ("LA", "RGBA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, (255, 255, 255))
        white.paste(image, mask=image.getchannel("A"))
        return white
    return image.convert("RGB")


def line(image):
    rgb = np.array(image)
    sums = rgb.reshape(-1, 3).sum(0, dtype=np.int64)
    return f"{image.width} {image.height} {zlib.crc32(rgb.tobytes()):08x} {sums[0]} {sums[1]} {sums[2]}"


# ---- PNG, written by hand so that every kind can be ---------------------------------------------------------------

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pack_rows(samples, depth):
    """samples [height, width, channels] -> filtered (type 0) rows of `depth` bits a sample"""
    out = b""
    for row in samples.reshape(samples.shape[0], -1):
        if depth == 16:
            data = row.astype(">u2").tobytes()
        elif depth == 8:
            data = row.astype(np.uint8).tobytes()
        else:
            bits = ((row[:, None] >> np.arange(depth - 1, -1, -1)) & 1).astype(np.uint8)
            data = np.packbits(bits.ravel()).tobytes()
        out += b"\0" + data
    return out


ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def png(samples, depth, colour, interlaced=False, before=b"", after=b""):
    height, width = samples.shape[:2]
    if interlaced:
        passes = [samples[y::dy, x::dx] for x, y, dx, dy in ADAM7]
        raw = b"".join(pack_rows(p, depth) for p in passes if p.size)
    else:
        raw = pack_rows(samples, depth)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(raw, 9)) + after +
            chunk(b"IEND", b""))


def make_pngs():
    random = np.random.default_rng(1)
    files = {}

    def samples(channels, depth, width=13, height=7):
        return random.integers(0, 1 << depth, (height, width, channels))

    def palette(depth):
        return chunk(b"PLTE", random.integers(0, 256, 3 << depth, dtype=np.uint8).tobytes())

    for interlaced in (False, True):
        suffix = "_interlaced" if interlaced else ""
        for depth in (1, 2, 4, 8, 16):
            files[f"gray{depth}{suffix}"] = png(samples(1, depth), depth, 0, interlaced)
        for depth in (1, 2, 4, 8):
            files[f"palette{depth}{suffix}"] = png(samples(1, depth), depth, 3, interlaced, palette(depth))
        for depth in (8, 16):
            files[f"rgb{depth}{suffix}"] = png(samples(3, depth), depth, 2, interlaced)
            files[f"gray_alpha{depth}{suffix}"] = png(samples(2, depth), depth, 4, interlaced)
            files[f"rgba{depth}{suffix}"] = png(samples(4, depth), depth, 6, interlaced)

    files["palette4_alpha"] = png(samples(1, 4), 4, 3, False, palette(4) + chunk(b"tRNS", bytes(range(0, 250, 25))))
    files["gray8_key"] = png(samples(1, 2) * 60, 8, 0, False, chunk(b"tRNS", struct.pack(">H", 120)))
    files["gray2_key"] = png(samples(1, 2), 2, 0, False, chunk(b"tRNS", struct.pack(">H", 1)))
    files["rgb8_key"] = png(samples(3, 1) * 200, 8, 2, False, chunk(b"tRNS", struct.pack(">HHH", 200, 0, 200)))
    files["one_pixel"] = png(samples(3, 8, 1, 1), 8, 2)
    files["one_row_interlaced"] = png(samples(3, 8, 9, 1), 8, 2, True)
    exif = Image.Exif()
    exif[0x0112] = 6
    files["exif_before"] = png(samples(3, 8), 8, 2, before=chunk(b"eXIf", exif.tobytes()[6:]))
    files["exif_after"] = png(samples(3, 8), 8, 2, after=chunk(b"eXIf", exif.tobytes()[6:]))
    return {name + ".png": data for name, data in files.items()}


# ---- JPEG -----------------------------------------------------------------------------------------------------------

def make_jpegs():
    def save(image, **options):
        out = io.BytesIO()
        image.save(out, "JPEG", **options)
        return out.getvalue()

    picture = smooth(27, 21)
    files = {
        "gray": save(picture.convert("L")),
        "444": save(picture, subsampling=0),
        "422": save(picture, subsampling=1),
        "420": save(picture, subsampling=2),
        "rgb": save(picture, keep_rgb=True),
        "progressive": save(picture, progressive=True),
        "progressive_gray": save(picture.convert("L"), progressive=True),
        "restarts": save(picture, restart_marker_blocks=1),
        "cmyk": save(picture.convert("CMYK")),
        "one_pixel": save(smooth(1, 1)),
        "noise": save(noise(27, 21), quality=95),
    }
    # The same blocks in another arrangement: 2x1 chroma sampling over 32 x 32 pixels read as 1x2.
    tall = bytearray(save(smooth(32, 32), subsampling=1))
    at = tall.index(b"\xff\xc0") + 11
    assert tall[at] == 0x21
    tall[at] = 0x12
    files["440"] = bytes(tall)
    # Adobe's transform: 2 says that the inks are stored as YCCK.
    ycck = bytearray(files["cmyk"])
    at = ycck.index(b"Adobe") + 11
    assert ycck[at] == 0
    ycck[at] = 2
    files["ycck"] = bytes(ycck)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x010F] = "graft"
        exif[0x0112] = orientation
        block = exif.tobytes()  # big or little endian, in turn
        if orientation % 2:
            block = (b"Exif\0\0MM\0*" + struct.pack(">IHHHIHH", 8, 1, 0x0112, 3, 1, orientation, 0) + b"\0\0\0\0")
        files[f"exif{orientation}"] = save(smooth(19, 10), exif=block)
    return {name + ".jpg": data for name, data in files.items()}


# ---- resizing and preprocessing -----------------------------------------------------------------------------------

SIZES = [(1, 1), (1, 7), (5, 1), (2, 3), (13, 7), (64, 48), (97, 61), (300, 2), (2, 300), (640, 5), (333, 250)]
TARGETS = [(1, 1), (2, 2), (7, 5), (13, 7), (31, 64), (100, 97), (224, 224)]
BOXES = [(0, 0, 97, 61), (1.5, 2.25, 90.75, 60.5), (10, 10, 11, 11), (0.1, 0.2, 0.9, 0.7), (96, 0, 97, 61),
         (20.3, 30.3, 20.8, 60.9)]
METHODS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


largest_difference = 0  # between the two orders of the passes, in grey levels


def resize(image, size, method, box=None):
    """Horizontally, then vertically, as Pillow did it always up to version 12. Version 13 takes the vertical pass first
    for some distorted shapes; how much that changes is looked at and printed."""
    global largest_difference
    left, top, right, bottom = box or (0, 0, *image.size)
    across = image.resize((size[0], image.height), method, (left, 0, right, image.height))
    both = across.resize(size, method, (0, top, size[0], bottom))
    direct = np.array(image.resize(size, method, (left, top, right, bottom)), np.int64)
    largest_difference = max(largest_difference, int(np.abs(direct - np.array(both, np.int64)).max()))
    return both


def expect_resize():
    for name, method in METHODS.items():
        for w, h in SIZES:
            for ow, oh in TARGETS:
                yield f"{name} {w} {h} 0 0 {w} {h} {line(resize(noise(w, h), (ow, oh), method))}"
        for box in BOXES:
            for ow, oh in TARGETS:
                image = resize(noise(97, 61), (ow, oh), method, box)
                yield f"{name} 97 61 {' '.join(map(str, box))} {line(image)}"


PREPROCESS = [(256, 224), (224, 224), (0, 32), (0, 33), (40, 0), (16, 21), (16, 20), (7, 5), (1, 224)]


def preprocess(image, short_side, crop, method):
    if short_side:
        size = T.Resize(short_side, method)(image).size
        image = resize(image, size, METHODS[method.value])
    return T.CenterCrop(crop)(image) if crop else image


def expect_preprocess():
    for name, method in (("bilinear", T.InterpolationMode.BILINEAR), ("bicubic", T.InterpolationMode.BICUBIC)):
        for w, h in ((32, 32), (31, 33), (50, 37), (37, 50), (300, 299), (500, 3), (3, 500), (1, 1)):
            for short_side, crop in PREPROCESS:
                if crop or max(w, h) < 100:
                    yield f"{name} {w} {h} {short_side} {crop} {line(preprocess(noise(w, h), short_side, crop, method))}"


def expect_normalize():
    """All grey levels through ToTensor and Normalize, each channel, as the bits of an f32."""
    grey = Image.fromarray(np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, 2))
    for mean, std in (((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), ((127 / 255,) * 3, (128 / 255,) * 3)):
        x = T.Normalize(mean, std)(T.ToTensor()(grey))[:, 0, :]
        bits = x.contiguous().numpy().view(np.uint32)
        yield " ".join(f"{v:.9g}" for v in mean + std) + "".join(f" {b:08x}" for b in bits[:, ::17].ravel())


def expect_random_crop():
    """F.resized_crop of given regions, mirrored or not, and where RandomResizedCrop falls back to the middle."""
    regions = [(97, 61, 0, 0, 97, 61), (97, 61, 13, 7, 40, 31), (97, 61, 96, 60, 1, 1), (20, 80, 3, 9, 17, 50)]
    for name, method in METHODS.items():
        for w, h, x, y, cw, ch in regions:
            for flip in (0, 1):
                image = resize(F.crop(noise(w, h), y, x, ch, cw), (24, 24), method)
                yield f"crop {name} {w} {h} {x} {y} {cw} {ch} {flip} {line(F.hflip(image) if flip else image)}"
    for w, h in ((1000, 10), (10, 1000), (1, 9), (9, 1), (7, 2), (300, 100)):
        # scale (1, 1): the whole area at an allowed ratio never fits, so all ten attempts fail
        y, x, ch, cw = T.RandomResizedCrop.get_params(noise(w, h), [1.0, 1.0], [3 / 4, 4 / 3])
        yield f"fallback {w} {h} {x} {y} {cw} {ch}"


def expect_photos(root):
    for name in sorted(p.name for p in (root / "photos").glob("*.*g")):
        if name == "truncated.jpg":
            continue
        yield f"photos/{name} decoded {line(as_graft_sees(Image.open(root / 'photos' / name)))}"
    for name in ("chelsea.png", "coffee.png", "rocket.jpg"):
        image = as_graft_sees(Image.open(root / "photos" / name))
        for label, method in (("bilinear", T.InterpolationMode.BILINEAR), ("bicubic", T.InterpolationMode.BICUBIC)):
            yield f"photos/{name} {label} {line(preprocess(image, 256, 224, method))}"


def expect_hymenoptera(root):
    for path in sorted((root / "hymenoptera").rglob("*.jp*g")):
        name = path.relative_to(root).as_posix().replace(" ", "%20")
        yield f"{name} decoded {line(as_graft_sees(Image.open(path)))}"


def write(name, lines):
    (HERE / "data" / name).write_text("".join(text + "\n" for text in lines))


def main():
    torch.manual_seed(0)
    DATA.mkdir(exist_ok=True)
    for name, data in make_pngs().items():
        (DATA / name).write_bytes(data)
    write("expected_png.txt", (f"{p.name} {line(as_graft_sees(Image.open(p)))}" for p in sorted(DATA.glob("*.png"))
                               if not p.name.endswith(".jpg.png")))
    for name, data in make_jpegs().items():
        (DATA / name).write_bytes(data)
        rgb = np.array(as_graft_sees(Image.open(DATA / name)))
        (DATA / (name + ".png")).write_bytes(png(rgb, 8, 2))
    write("expected_resize.txt", expect_resize())
    write("expected_preprocess.txt", expect_preprocess())
    write("expected_normalize.txt", expect_normalize())
    write("expected_random_crop.txt", expect_random_crop())
    print("the order of the passes changes at most", largest_difference, "grey levels of noise")
    if len(sys.argv) > 1:
        write("expected_photos.txt", expect_photos(Path(sys.argv[1])))
        write("expected_hymenoptera.txt", expect_hymenoptera(Path(sys.argv[1])))


main()
