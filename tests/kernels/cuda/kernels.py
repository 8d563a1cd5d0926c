#!/usr/bin/env python3
"""What nvcc makes of the kernels: every instantiation, its registers, shared memory and spills.

  kernels.py resources NVCC FOLDER TABLE             compare with the committed table; no kernel may spill
  kernels.py resources NVCC FOLDER TABLE --write     write it
  kernels.py launched TABLE LIST                     each instantiation in TABLE is in LIST (written by test_cuda
                                                     "[launched]"), launched with two blocks

FOLDER: kernels/cuda. The names and figures are ptxas's own (-v), for each architecture that is built. That TABLE says
what nvcc makes is asked where nvcc is; that all of it is launched, in every build that runs the kernels on the host.
"""

import argparse
import concurrent.futures
import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
ARCHITECTURES = ["sm_80", "sm_90"]
# Per multiprocessor, CUDA C++ Programming Guide, "Compute Capabilities": threads, registers, shared memory, blocks.
LIMITS = {"sm_80": (2048, 65536, 164 * 1024, 32), "sm_90": (2048, 65536, 228 * 1024, 32)}
RESERVED_SHARED = 1024  # the system's, in each block


def demangle(names):
    text = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True).stdout
    return text.splitlines()


def short(name):
    """void graft::cuda::map_kernel<float, graft::cuda::Add>(…) -> map_kernel<float, Add>"""
    name = re.sub(r"^void ", "", name.replace("graft::cuda::", ""))
    depth = 0
    for i, c in enumerate(name):  # up to the argument list
        depth += {"<": 1, ">": -1}.get(c, 0)
        if c == "(" and depth == 0:
            return name[:i]
    return name


def compile_one(nvcc, source, architecture):
    with tempfile.TemporaryDirectory() as scratch:
        run = subprocess.run(
            [nvcc, "-std=c++20", "-O3", f"-I{ROOT}", f"-arch={architecture}", "-cubin", "-Xptxas", "-v", str(source),
             "-o", f"{scratch}/out.cubin"], capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"{source}: {run.stderr}")
    kernels, name = {}, None
    for line in run.stderr.splitlines():
        if m := re.search(r"Compiling entry function '(\w+)'", line):
            name = m.group(1)
        elif m := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
            if name:
                kernels.setdefault(name, {}).update(stack=int(m[1]), spill=int(m[2]) + int(m[3]))
        elif m := re.search(r"Used (\d+) registers", line):
            shared = re.search(r"(\d+) bytes smem", line)
            kernels.setdefault(name, {}).update(registers=int(m[1]), shared=int(shared[1]) if shared else 0)
    return architecture, kernels


def compile_all(nvcc, folder):
    """{architecture: {demangled name: figures}}"""
    jobs = [(nvcc, source, a) for a in ARCHITECTURES for source in sorted(pathlib.Path(folder).glob("*.cu"))]
    found = {a: {} for a in ARCHITECTURES}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for architecture, kernels in pool.map(lambda job: compile_one(*job), jobs):
            for name, figures in zip(demangle(list(kernels)), kernels.values()):
                found[architecture][name] = figures
    if not all(found.values()):
        sys.exit("ptxas named no kernel: its output has changed")
    return found


def occupancy(architecture, registers, shared, threads):
    """Share of the multiprocessor's warps that can be resident. Registers are given to a warp in units of 256."""
    most_threads, file, memory, most_blocks = LIMITS[architecture]
    warps = -(-threads // 32)
    by_registers = file // (-(-registers * 32 // 256) * 256) // warps
    by_shared = memory // (shared + RESERVED_SHARED)
    return min(most_threads // (warps * 32), by_registers, by_shared, most_blocks) * warps * 32 / most_threads


def table_of(found, threads=256):
    lines = ["# Registers and shared memory (bytes, static) of a thread block of 256, and the occupancy that follows, as ptxas says.",
             "# tests/kernels/cuda/kernels.py writes it; CI compares.",
             f"# {'kernel':<62} {'arch':<6} {'regs':>4} {'shared':>6} {'occupancy':>9}"]
    for architecture in ARCHITECTURES:
        for name, f in sorted(found[architecture].items()):
            share = occupancy(architecture, f["registers"], f["shared"], threads)
            lines.append(f"{short(name):<64} {architecture:<6} {f['registers']:>4} {f['shared']:>6} {share:>9.2f}")
    return "\n".join(lines) + "\n"


def resources(arguments):
    found = compile_all(arguments.nvcc, arguments.folder)
    bad = [f"{short(n)} {a}: {f['spill']} bytes of spills, {f['stack']} of stack"
           for a, kernels in found.items() for n, f in kernels.items() if f["spill"] or f["stack"]]
    now, table = table_of(found), pathlib.Path(arguments.table)
    if arguments.write:
        table.write_text(now)
    elif now != table.read_text():
        committed = set(table.read_text().splitlines())
        bad += [f"not in {table.name}: {line}" for line in now.splitlines() if line not in committed]
        bad.append(f"{table.name} is not what nvcc makes today; if the change is meant: kernels.py resources … --write")
    print(now)
    return bad


def launched(arguments):
    ran = {short(row["name"]): row for row in map(json.loads, open(arguments.list))}
    rows = (re.match(r"(\w.*\S) +sm_\d+ ", line) for line in open(arguments.table))
    names = {row[1] for row in rows if row}
    if not names:
        sys.exit(f"{arguments.table} names no kernel")
    print(f"{len(names)} instantiations, {len(ran)} launched on the host")
    for name in sorted(names):
        print(f"  {name:<64} {ran[name]['blocks'] if name in ran else 0:>5} blocks")
    return ([f"{n} is in the plug-in and was never launched" for n in sorted(names - ran.keys())] +
            [f"{n} was launched and is not in the plug-in" for n in sorted(ran.keys() - names)] +
            [f"{n} was never launched with two blocks" for n in sorted(names & ran.keys()) if ran[n]["blocks"] < 2])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run, needed in (("resources", resources, ("nvcc", "folder", "table")), ("launched", launched, ("table", "list"))):
        command = commands.add_parser(name)
        for argument in needed:
            command.add_argument(argument)
        command.set_defaults(run=run)
        if name == "resources":
            command.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    bad = arguments.run(arguments)
    for line in bad:
        print("WRONG", line)
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
