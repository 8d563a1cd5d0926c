"""What the stages found, as one Markdown text. A number that was not measured is never in it."""

LIMIT_BYTES = 342e6  # through memory for one image of a ResNet-50 bf16 step, batch norm, relu and add fused
SHARE, STRETCH = 0.85, 0.60  # of a kernel's limit; of that of a whole step
NOT_MEASURED = "not measured"


def verdict(value, wanted):
    if value is None:
        return NOT_MEASURED
    return "reached" if value >= wanted else "not reached"


def result(state, stage):
    return state["stages"].get(stage, {}).get("result", {})


def ratio(state, stage, way):
    return result(state, stage).get("peers", {}).get(way, {}).get("ratio")


def l2_bytes(state):
    attributes = result(state, "device").get("attributes") or {}
    return attributes.get("l2_bytes")


def large_rows(state):
    """graft's rows that cannot live in the cache."""
    l2 = l2_bytes(state)
    return [r for r in result(state, "kernels").get("rows", []) if l2 and r["by"] == "graft" and "share" in r
            and r["bytes"] >= 4 * l2]


def lowest(rows):
    return min((r["share"] for r in rows), default=None)


def depthwise_rows(state):
    """For each depthwise row the better of two shares: of twice cuDNN's speed, and of 80 % of the limit."""
    by_cudnn = {(r["name"], r["dtype"]): r["seconds"]["median"] for r in result(state, "kernels").get("rows", [])
                if r["by"] == "cuDNN" and "seconds" in r}
    for r in large_rows(state):
        if "depthwise" in r["name"]:
            theirs = by_cudnn.get((r["name"], r["dtype"]), 0)
            yield max(r["share"] / 0.8, theirs / r["seconds"]["median"] / 2)


def stretch(state):
    rates = [p["graft"] for p in result(state, "train-resnet50").get("peers", {}).values() if "graft" in p]
    alone = result(state, "train-resnet50").get("alone")
    bandwidths = [r["limits"]["bytes"] for r in result(state, "kernels").get("rows", []) if "limits" in r]
    if not bandwidths or not (rates or alone):
        return None
    return (max(rates) if rates else alone) / (max(bandwidths) / LIMIT_BYTES)


def floors(state):
    """(name, value or None, what it must be at least)"""
    tested = [state["stages"].get(s, {}).get("state") for s in ("tests", "tests-own")]
    good = None
    if all(s in ("done", "failed") for s in tested) and not state.get("selected"):
        good = float(all(s == "done" for s in tested))
    depthwise = min(depthwise_rows(state), default=None)
    in_bf16 = result(state, "train-resnet50").get("precision") == "bf16"

    def training(stage, way):
        return ratio(state, stage, way) if in_bf16 or stage != "train-resnet50" else None

    return [
        ("floor: every [gpu] test passes", good, 1),
        ("floor: ResNet-50 bf16 training over eager channels-last AMP", training("train-resnet50", "eager"), 1),
        ("aim: ResNet-50 bf16 training over torch.compile", training("train-resnet50", "compile"), 1),
        ("stretch: ResNet-50 bf16 training, share of 342 MB an image at the measured bandwidth",
         stretch(state) if in_bf16 else None, STRETCH),
        ("floor: lowest share of its limit, kernels of at least 4 times L2", lowest(large_rows(state)), SHARE),
        ("floor: depthwise, of twice cuDNN's speed or 80 % of its limit", depthwise, 1),
        ("floor: EfficientNet-B0 training over eager", training("train-efficientnet_b0", "eager"), 1.5),
        ("floor: head-only training over eager", training("train-head", "eager"), 2),
    ]


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(str(cell).replace("|", "/") for cell in row) + " |" for row in rows])


def number(value, digits=2):
    return NOT_MEASURED if value is None else f"{value:,.{digits}f}"


def machine(state):
    found = result(state, "device")
    lines = [f"- {d.get('device', d.get('library'))}: {d['what']}" for d in found.get("devices", [])]
    smi = found.get("nvidia-smi", "")
    lines.append("- nvidia-smi: " + (", ".join(f"{k} {v}" for k, v in smi.items()) if isinstance(smi, dict) else smi))
    lines.append(f"- PyTorch, CUDA, cuDNN: {found.get('pytorch') or 'not here, or without a GPU'}")
    return "\n".join([f"- {found.get('graft', 'graft')}"] + lines)


def stage_rows(state):
    return [(name, s["state"], f"{s['seconds']:.0f} s", s.get("why") or s["result"].get("why") or "")
            for name, s in state["stages"].items()]


def kernel_rows(state):
    for r in result(state, "kernels").get("rows", []):
        if "seconds" not in r:
            yield r["name"], r["dtype"], r["by"], "", "", r.get("problem", "")
            continue
        seconds = r["seconds"]["median"]
        rate = f"{r['flops'] / seconds / 1e12:.1f} TFLOP/s" if r["bound"] == "compute" else \
            f"{r['bytes'] / seconds / 1e9:.0f} GB/s"
        yield r["name"], r["dtype"], r["by"], f"{1e6 * seconds:.1f}", rate, f"{r['share']:.0%}"


def peer_rows(state):
    for stage, s in state["stages"].items():
        found = s["result"]
        for way, p in found.get("peers", {}).items():
            if "ratio" in p:
                yield (stage, found["precision"], way, number(p["graft"], 0), number(p["peer"], 0), number(p["ratio"]),
                       f"{p['lowest']:.2f} to {p['highest']:.2f}")
            else:
                yield stage, found["precision"], way, "", "", NOT_MEASURED, p["why"]
        if "alone" in found:
            yield stage, found["precision"], "none", number(found["alone"], 0), "", NOT_MEASURED, found["why"]


def checker_rows(state):
    for tool, c in result(state, "sanitizers").get("checks", {}).items():
        yield f"compute-sanitizer {tool}", c["probe"], c.get("said", NOT_MEASURED)
    if "probe" in result(state, "ncu"):
        read = len(result(state, "ncu").get("csv", "").splitlines())
        yield "ncu", result(state, "ncu")["probe"], f"{read} lines in the JSON" if read else NOT_MEASURED


def markdown(state):
    parts = ["# graft on a GPU", machine(state), "## Floors and aims",
             table(["what", "measured", "at least", "verdict"],
                   [(name, number(value), wanted, verdict(value, wanted)) for name, value, wanted in floors(state)]),
             "## Stages", table(["stage", "state", "time", "why"], stage_rows(state))]
    for title, header, rows in (
            ("Beside PyTorch, images a second, in turns",
             ["stage", "precision", "way", "graft", "PyTorch", "graft / PyTorch", "range"], peer_rows(state)),
            ("Kernels", ["case", "type", "by", "µs", "rate", "share of limit"], kernel_rows(state)),
            ("Checkers", ["tool", "a mistake made on purpose", "of graft it says"], checker_rows(state))):
        rows = list(rows)
        if rows:
            parts += ["## " + title, table(header, rows)]
    if state.get("selected"):
        parts.insert(2, f"Only these tests ran: `{state['selected']}`.")
    return "\n\n".join(parts) + "\n"
