"""Does a tool see what it should? Kernels with one mistake each, through the driver alone: no compiler is needed.

    python3 probe.py beyond|race|barrier|unwritten|right|attributes
"""

import ctypes
import json
import pathlib
import sys

from commands import Failed, OutOfTime

HEAD = ".version 7.8\n.target sm_80\n.address_size 64\n"
START = """.visible .entry probe(.param .u64 memory) {
  .shared .align 4 .b8 tile[512];
  .reg .b64 %d<4>; .reg .b32 %r<8>; .reg .pred %p;
  ld.param.u64 %d0, [memory];
  cvta.to.global.u64 %d0, %d0;
  mov.u32 %r0, %tid.x;
  mul.wide.u32 %d1, %r0, 4;
  add.u64 %d2, %d0, %d1;
"""
KERNELS = {
    # each of 128 threads writes its word
    "right": "  st.global.u32 [%d2], %r0;\n",
    # … behind the memory, where the page goes on: only a checker notices
    "beyond": "  st.global.u32 [%d2 + 4096], %r0;\n",
    # each reads what its neighbour wrote, without a barrier
    "race": """  shl.b32 %r1, %r0, 2; mov.u32 %r2, tile; add.u32 %r3, %r2, %r1;
  st.shared.u32 [%r3], %r0;
  xor.b32 %r4, %r1, 256; add.u32 %r5, %r2, %r4;
  ld.shared.u32 %r6, [%r5];
  st.global.u32 [%d2], %r6;
""",
    # half a warp waits at a barrier, the other half leaves
    "barrier": """  and.b32 %r1, %r0, 31; setp.ge.u32 %p, %r1, 16;
  @%p ret;
  barrier.sync 0;
  st.global.u32 [%d2], %r0;
""",
    # each reads a word that nobody wrote
    "unwritten": "  ld.global.u32 %r1, [%d2]; add.u32 %r1, %r1, 1; st.global.u32 [%d2 + 1024], %r1;\n",
}
MISTAKE_FOR = {"memcheck": "beyond", "racecheck": "race", "synccheck": "barrier", "initcheck": "unwritten"}
THREADS, BYTES = 128, 4096
FOUND = 77  # compute-sanitizer's exit code where it found something


def ptx(name):
    return HEAD + START + KERNELS[name] + "  ret;\n}\n"


class Driver:
    def __init__(self):
        self.library = ctypes.CDLL("libcuda.so.1")
        self("cuInit", 0)
        self.device = ctypes.c_int()
        self("cuDeviceGet", ctypes.byref(self.device), 0)

    def __call__(self, function, *arguments):
        if code := getattr(self.library, function)(*arguments):
            raise OSError(f"{function} answers {code}")

    def attribute(self, number):
        value = ctypes.c_int()
        self("cuDeviceGetAttribute", ctypes.byref(value), number, self.device)
        return value.value

    def launch(self, text):
        context, module, function = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
        memory = ctypes.c_uint64()
        self("cuDevicePrimaryCtxRetain", ctypes.byref(context), self.device)
        self("cuCtxSetCurrent", context)
        self("cuModuleLoadData", ctypes.byref(module), ctypes.c_char_p(text.encode()))
        self("cuModuleGetFunction", ctypes.byref(function), module, b"probe")
        self("cuMemAlloc_v2", ctypes.byref(memory), ctypes.c_size_t(BYTES))
        parameters = (ctypes.c_void_p * 1)(ctypes.addressof(memory))
        self("cuLaunchKernel", function, 1, 1, 1, THREADS, 1, 1, 0, None, parameters, None)
        self("cuCtxSynchronize")


def me(*words):
    return [sys.executable, str(pathlib.Path(__file__).resolve()), *words]


def attributes(stage):
    """Multiprocessors, L2's bytes and the compute capability, from the driver; {} where it does not say."""
    code, out = stage.run(me("attributes"))
    return json.loads(out) if code == 0 else {}


def finds(stage, command, mistake):
    """Whether a checker is silent about the right kernel and finds the wrong one: found, or why it is no use."""
    try:
        silent, said = stage.run(command + me("right"))
        if silent != 0:
            return f"it cannot be used here: {last_line(said)}"
        return "found" if stage.run(command + me(mistake))[0] == FOUND else "it does not find a mistake made on purpose"
    except OutOfTime:
        raise
    except Failed as error:
        return str(error)


def counts(stage, command):
    """Whether a profiler reads counters of a kernel that runs."""
    try:
        code, out = stage.run(command + me("right"))
    except OutOfTime:
        raise
    except Failed as error:
        return str(error)
    return "found" if code == 0 and "dram__bytes.sum" in out else f"it reads no counters here: {last_line(out)}"


def last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it says nothing"


def main(what):
    driver = Driver()
    if what == "attributes":
        print(json.dumps({"multiprocessors": driver.attribute(16), "l2_bytes": driver.attribute(38),
                          "compute_capability": [driver.attribute(75), driver.attribute(76)]}))
    else:
        driver.launch(ptx(what))


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except (AttributeError, OSError) as error:
        sys.exit(f"probe: {error}")
