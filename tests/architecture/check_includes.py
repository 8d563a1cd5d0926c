#!/usr/bin/env python3
"""The arrows of the design, checked: each folder includes only what stands below it.

    check_includes.py ROOT          exit 1 and a line for each include that goes against an arrow
    check_includes.py --self-test   plants good and bad includes and sees that exactly the bad ones are found

Includes are written relative to the root ("core/tensor.h"); a quoted include of anything else is an error too.
No file names somebody's home or scratch folder.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

# A layer may include itself and what is listed. kernels/<name> is a layer each: none sees another.
MAY_INCLUDE = {
    "contract": [],
    "kernels": ["contract"],
    "core": ["contract"],
    "io": ["core", "contract"],
    "models": ["io", "core", "contract"],
    "train": ["models", "io", "core", "contract"],
    "graft": ["train", "models", "io", "core", "contract"],
    "tools": ["bench", "graft", "train", "models", "io", "core", "contract"],
    "bench": ["graft", "train", "models", "io", "core", "contract"],
    "examples": ["graft"],
}
# A program picks its backends: it sees their entries, and nothing else of them. graft's library does so for its users.
BACKEND_ENTRY = re.compile(r"kernels/[a-z_]+/[a-z_]*backend\.h")
PICKS_BACKENDS = ["tools", "bench", "graft"]

SOURCES = {".h", ".hpp", ".inc", ".c", ".cc", ".cpp", ".cu", ".cuh"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
QUOTED_LIBRARIES = ("hwy/",)  # Highway's own manner
# Written in pieces, so that this file does not name them itself.
MACHINE_PATHS = re.compile("/" + r"((home|root|Users|mnt|scratch)\b|tmp/[\w.-]+/)")
MACHINE_PATHS_ALLOWED = {"tests/architecture/check_includes.py"}


def layer_of(path):
    """contract/shape.h -> contract; kernels/cpu/gemm.h -> kernels/cpu; None for a file of no layer."""
    parts = path.split("/")
    if len(parts) < 2 or parts[0] not in MAY_INCLUDE:
        return None
    return "/".join(parts[:2]) if parts[0] == "kernels" and len(parts) > 2 else parts[0]


def allowed(layer, target):
    """May a file of `layer` include `target`, a path from the root?"""
    target_layer, top = layer_of(target), layer.split("/")[0]
    if target_layer is None:
        return False
    if target_layer == layer or target_layer in MAY_INCLUDE[top]:
        return True
    return top in PICKS_BACKENDS and BACKEND_ENTRY.fullmatch(target) is not None


def check_file(root, path):
    layer = layer_of(path)
    if layer is None:
        return
    for number, line in enumerate((root / path).read_text(errors="replace").splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        bracket, target = match.groups()
        if layer_of(target) is None and not target.startswith("tests/"):
            if bracket == '"' and not target.startswith(QUOTED_LIBRARIES):
                yield f'{path}:{number}: "{target}" is no path from the root; write it so, or in <> for a library'
        elif not allowed(layer, target):
            yield f"{path}:{number}: {layer} must not include {target}"


def check_machine_paths(root, path):
    if path in MACHINE_PATHS_ALLOWED:
        return
    data = (root / path).read_bytes()
    if b"\0" in data:  # not text
        return
    for number, line in enumerate(data.decode(errors="replace").splitlines(), 1):
        match = MACHINE_PATHS.search(line)
        if match and (match.start() == 0 or not re.match(r"[\w.)}]", line[match.start() - 1])):
            yield f"{path}:{number}: names the machine path {line[match.start():].split()[0]}"


def files_of(root):
    """What git tracks or would track; everything where there is no repository."""
    try:
        listing = subprocess.run(["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                                 check=True, capture_output=True, text=True).stdout
        names = sorted(set(listing.split("\0")) - {""})
    except (OSError, subprocess.CalledProcessError):
        names = sorted(str(p.relative_to(root)) for p in root.rglob("*"))
        names = [n for n in names if not n.startswith(("build/", "install/", ".git/"))]
    return [n for n in names if (root / n).is_file() and not (root / n).is_symlink()]


def check_tree(root):
    found = []
    for path in files_of(root):
        if pathlib.PurePath(path).suffix in SOURCES:
            found += check_file(root, path)
        found += check_machine_paths(root, path)
    return found


GOOD = {
    "contract/shape.h": "#include <cstdint>",
    "kernels/cpu/gemm.cpp": '#include "contract/shape.h"\n#include "kernels/cpu/gemm.h"',
    "kernels/cpu/gemm.h": "#include <hwy/highway.h>",
    "kernels/cpu/cpu_backend.h": "",
    "core/tensor.h": '#include "contract/shape.h"',
    "models/graph.h": '#include "io/file.h"',
    "io/file.h": '#include "core/tensor.h"',
    "tools/main.cpp": '#include "kernels/cpu/cpu_backend.h"\n#include "graft/model.h"\n#include "models/graph.h"',
    "graft/model.h": "",
    "tests/core/tensor.cpp": '#include "kernels/cpu/gemm.h"',
    "bench/networks.cpp": '#include "train/scion.h"\n#include "kernels/cpu/cpu_backend.h"',
    "train/scion.h": "",
    "docs/a.md": "see https://example.org/" + "home/x and docs/" + "home/y; it makes /tmp/graft-XXXXXX",
}
BAD = {
    "contract/bad.h": '#include "core/tensor.h"',
    "kernels/reference/bad.h": '  #  include "kernels/cpu/gemm.h"',
    "kernels/cpu/bad.h": '#include "core/tensor.h"',
    "core/bad.h": '#include <kernels/cpu/cpu_backend.h>',
    "io/bad.h": '#include "models/graph.h"',
    "models/bad.h": '#include "tests/core/tensor.cpp"',
    "tools/bad.cpp": '#include "kernels/cpu/gemm.h"',
    "tools/typo.cpp": '#include "tensor.h"',
    "bench/bad.cpp": '#include "tests/core/tensor.cpp"',
    "examples/bad.cpp": '#include "core/tensor.h"',
    "docs/home.md": "cd /" + "home/me/graft",
    "docs/root.md": "`/" + "root/graft`",
    "docs/scratch.md": "ls /" + "tmp/me-2/graft",
}


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for path, text in (GOOD | BAD).items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text + "\n")
        found = sorted(line.split(":")[0] for line in check_tree(root))
        if found != sorted(BAD):
            print(f"planted {sorted(BAD)}\nfound   {found}")
            return 1
    return 0


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    if len(arguments) != 1:
        print(__doc__)
        return 2
    found = check_tree(pathlib.Path(arguments[0]).resolve())
    print("\n".join(found) if found else "every include follows the arrows")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
