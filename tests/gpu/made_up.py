"""A state of gpu_check as it could be, for tests of the table alone: no number here was ever measured."""

L2 = 1_000_000


def kernel(name, share, bytes=5 * L2, by="graft", seconds=1e-3):
    return {"name": name, "layer": name, "by": by, "dtype": "bf16", "kernel": "k", "seconds": {"median": seconds},
            "flops": 1e6, "bytes": bytes, "bound": "memory", "share": share, "limits": {"flops": 1e12, "bytes": 342e9}}


def peers(eager, compiled):
    def peer(ratio):
        return {"graft": 700.0, "peer": 700 / ratio, "ratio": ratio, "lowest": ratio, "highest": ratio}
    return {"eager": peer(eager), "compile": peer(compiled), "graphs": {"why": "out of memory"}}


def stage(result, state="done", why=None):
    return {"state": state, "when": "", "seconds": 1, "result": result, "why": why}


def state():
    def trained(ratio):
        return stage({"precision": "bf16", "peers": peers(ratio, ratio / 2)})
    return {"stages": {
        "device": stage({"devices": [{"device": "cuda:0", "usable": True, "what": "made-up GPU"}], "pytorch": "1 2 3",
                         "nvidia-smi": {"name": "made-up GPU"}, "attributes": {"l2_bytes": L2}, "graft": "graft 0"}),
        "tests": stage({"passed": ["a"], "failed": {}}), "tests-own": stage({"passed": ["a"], "failed": {}}),
        "kernels": stage({"rows": [kernel("relu n=1", 0.9), kernel("small | n=1", 0.1, bytes=L2),
                                   kernel("depthwise_conv2d n=1", 0.86),
                                   kernel("depthwise_conv2d n=1", 0.3, by="cuDNN", seconds=3e-3)]}),
        "train-resnet50": trained(1.5), "train-efficientnet_b0": trained(1.6), "train-head": trained(1.9),
        "sanitizers": stage({"checks": {"memcheck": {"probe": "found", "clean": True, "said": "0 errors"},
                                        "racecheck": {"probe": "it cannot be used here: no"}}}),
    }}
