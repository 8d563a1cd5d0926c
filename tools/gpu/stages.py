"""The stages of gpu_check. Each fills `result` with what it found, or raises Failed."""

import glob
import json
import os
import re
import site
import sys

import commands
import probe
import tests
import turns
from commands import Failed

TRAINED = {  # stage, model, batch, task of both programs, graft's words for it
    "train-resnet50": ("resnet50", 256, "train", []),
    "train-efficientnet_b0": ("efficientnet_b0", 256, "train", []),
    "train-head": ("resnet50", 256, "train-head", ["--train", "fc"]),
    "predict-resnet50": ("resnet50", 256, "predict", ["--predict"]),
    "predict-vgg16": ("vgg16", 64, "predict", ["--predict"]),
    "predict-efficientnet_b0": ("efficientnet_b0", 256, "predict", ["--predict"]),
}
WAYS = ["eager", "compile", "graphs"]
SANITIZED = "*one small network trains*,*is captured once and replayed*"  # cases of test_gpu: minutes under a checker
OWN_KERNELS = {"GRAFT_CUDNN": "0", "GRAFT_CUBLASLT": "0"}


class Stage:
    """What a stage works with."""

    def __init__(self, programs, out, name, clock, result, save, options):
        self.graft, self.test_gpu, self.pytorch = programs
        self.out, self.name, self.clock, self.result, self.save, self.options = out, name, clock, result, save, options
        self.log = open(out / f"{name}.log", "a")
        self.environment = library_folders()

    def answer(self, command):
        return commands.answer(command, self.clock, self.log, self.environment)

    def run(self, command, environment=None):
        return commands.run(command, self.clock, self.log, {**self.environment, **(environment or {})})


def library_folders():
    """Where this Python's packages have cuDNN and cuBLASLt, for graft; what the user has set stands."""
    if "GRAFT_CUDA_LIBRARIES" in os.environ:
        return {}
    roots = [p for p in sys.path + site.getsitepackages() + [site.getusersitepackages()] if os.path.isdir(p)]
    found = [os.path.dirname(file) for root in dict.fromkeys(roots)
             for name in ("libcudnn.so.*", "libcublasLt.so.*")
             for file in glob.glob(os.path.join(glob.escape(root), "nvidia", "*", "lib", name))]
    return {"GRAFT_CUDA_LIBRARIES": ":".join(dict.fromkeys(found))} if found else {}


def devices_of(graft, clock, log):
    """(what `graft devices` lists, why no GPU can be used or "")"""
    devices = [json.loads(line) for line in
               commands.answer([graft, "devices", "--json"], clock, log, library_folders()).splitlines()]
    cuda = [d for d in devices if d.get("device", "").startswith("cuda")]
    if any(d["usable"] for d in cuda):
        return devices, ""
    return devices, cuda[0]["what"] if cuda else "graft lists no GPU"


def device(stage):
    stage.result["devices"], why = devices_of(stage.graft, stage.clock, stage.log)
    if why:
        raise Failed(why)
    stage.result["graft"] = stage.answer([stage.graft, "--version"]).strip()
    wanted = ["name", "driver_version", "memory.total", "clocks.sm", "clocks.max.sm", "clocks.mem", "power.limit",
              "compute_mode", "mig.mode.current"]
    try:
        line = stage.answer(["nvidia-smi", f"--query-gpu={','.join(wanted)}", "--format=csv,noheader", "-i", "0"])
        stage.result["nvidia-smi"] = dict(zip(wanted, (v.strip() for v in line.splitlines()[0].split(","))))
    except (Failed, IndexError) as error:
        stage.result["nvidia-smi"] = f"no answer: {error}"
    stage.result["attributes"] = probe.attributes(stage)
    stage.result["pytorch"] = pytorch_version(stage)


def pytorch_version(stage):
    """"" where PyTorch, torchvision and a GPU for them are not all here."""
    code, out = stage.run(["python3", "-c", "import torch, torchvision; print(torch.__version__, torch.version.cuda, "
                           "torch.backends.cudnn.version()) if torch.cuda.is_available() else exit(1)"])
    return out.strip() if code == 0 else ""


def run_tests(stage, environment):
    tests.run(stage.result, stage.test_gpu, stage.clock, stage.log, {**stage.environment, **environment},
              stage.options.tests, stage.out, stage.save)


def kernels(stage):
    rows = stage.result.setdefault("rows", [])
    done = stage.result.setdefault("done", [])
    bench = [stage.graft, "bench", "kernels", "--device", "cuda"]
    listed = [json.loads(line) for line in stage.answer(bench + ["--list", "--json"]).splitlines()]
    layers = list(dict.fromkeys(case["layer"] for case in listed))
    for dtype in ("bf16", "f32"):
        for layer in layers:
            if [dtype, layer] in done:
                continue
            measured = json.loads(stage.answer(bench + ["--dtype", dtype, "--filter", layer, "--json"]))
            known = {(r["name"], r["dtype"], r["by"]) for r in rows}
            rows += [{**r, "limits": measured["limits"]} for r in measured["rows"]
                     if (r["name"], r["dtype"], r["by"]) not in known]
            done.append([dtype, layer])
            stage.save()


def beside_pytorch(stage):
    model, batch, task, words = TRAINED[stage.name]
    precision = stage.options.precision
    ours = [stage.graft, "bench", "train", "--model", model, "--batch", str(batch), "--device", "cuda",
            "--precision", precision, "--turns"] + words
    stage.result.update(model=model, batch=batch, task=task, precision=precision)
    peers = stage.result.setdefault("peers", {})
    if not pytorch_version(stage):
        line = stage.answer([w for w in ours if w != "--turns"] + ["--json"])
        stage.result["alone"] = json.loads(line)["images_per_second"]
        stage.result["why"] = "python3 has no PyTorch with torchvision that sees a GPU"
        return
    for way in WAYS:
        if "ratio" in peers.get(way, {}):
            continue
        theirs = ["python3", stage.pytorch, task, model, str(batch), "--way", way, "--precision", precision]
        try:
            peers[way] = turns.measure(ours, theirs, batch, stage.clock, stage.log, environment=stage.environment)
        except commands.OutOfTime:
            raise
        except Failed as error:  # one way may run out of memory where the next does not
            peers[way] = {"why": str(error)}
        stage.save()
    if not any("ratio" in p for p in peers.values()):
        raise Failed("; ".join(p["why"] for p in peers.values()))


def sanitizers(stage):
    """Each checker must find a mistake made on purpose before its silence about graft means anything."""
    checks = stage.result.setdefault("checks", {})
    for tool in ("memcheck", "racecheck", "synccheck", "initcheck"):
        if checks.get(tool, {}).get("done"):
            continue
        command = ["compute-sanitizer", "--tool", tool, "--error-exitcode", str(probe.FOUND)]
        checks[tool] = {"probe": probe.finds(stage, command, probe.MISTAKE_FOR[tool])}
        if checks[tool]["probe"] == "found":
            code, out = stage.run(command + [stage.test_gpu, SANITIZED], {"GRAFT_REQUIRE": "gpu"})
            summary = re.findall(r"(?:ERROR|RACECHECK) SUMMARY: .*", out)
            checks[tool].update(clean=code == 0, said=summary[-1] if summary else f"exit code {code}")
        checks[tool]["done"] = True
        stage.save()
    found = [tool for tool, c in checks.items() if c.get("clean") is False]
    if found:
        raise Failed("; ".join(f"{tool}: {checks[tool]['said']}" for tool in found))


def ncu(stage):
    """Bytes through memory as the hardware counts them, for the kernels of one small training."""
    command = ["ncu", "--clock-control", "none", "--csv", "--metrics", "dram__bytes.sum,gpu__time_duration.sum"]
    stage.result["probe"] = probe.counts(stage, command)
    if stage.result["probe"] == "found":
        stage.result["csv"] = stage.answer(command + ["--launch-count", "200", stage.test_gpu, SANITIZED])


STAGES = {
    "device": (device, "what there is: GPU, driver, libraries, PyTorch"),
    "tests": (lambda s: run_tests(s, {}), "the op table, networks and memory, with cuDNN and cuBLASLt where they are"),
    "tests-own": (lambda s: run_tests(s, OWN_KERNELS), "the same on graft's own kernels alone"),
    "kernels": (kernels, "each kernel beside the limits of the card"),
    **{name: (beside_pytorch, f"{task} of {model}, batch {batch}, beside PyTorch in turns")
       for name, (model, batch, task, _) in TRAINED.items()},
    "sanitizers": (sanitizers, "compute-sanitizer's four checkers, each first on a mistake made on purpose"),
    "ncu": (ncu, "bytes through memory as the hardware counts them, first of a kernel that is known"),
}
