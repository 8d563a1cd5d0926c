#!/usr/bin/env python3
"""gpu_check without a GPU: its table, its resuming, and its stages on kernels that g++ compiled.

    gpu_check_test.py SOURCE BUILD [HOST_PLUGIN STUB_DRIVER]      without the last two: what needs no kernels
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
SOURCE, BUILD, *HOST = map(pathlib.Path, sys.argv[1:])
sys.path[:0] = [str(SOURCE / "tools" / "gpu"), str(SOURCE / "tests" / "gpu")]

import made_up  # noqa: E402
import table  # noqa: E402
import turns  # noqa: E402
import commands  # noqa: E402

# A test program of three cases, the second of which takes as long as SLOW says and the third fails as BAD says.
FAKE_TESTS = """#!/bin/sh
if [ "$1" = --list-test-names-only ]; then printf 'one\\ntwo, with a comma\\nthree\\n'; exit 3; fi
echo "$1" >>"$CALLS"
case $1 in *two*) sleep "${SLOW:-0}" ;; esac
case $1 in *three*) [ -z "$BAD" ] || exit 139 ;; esac
{ echo '<testsuites><testsuite>'
  for name in one 'two, with a comma' three; do echo "<testcase name='$name'/>"; done
  echo '</testsuite></testsuites>'; } >"$5"
"""
FAKE_SMI = "#!/bin/sh\necho 'Fake GPU, 1.2, 3 MiB, 4, 5, 6, 7, Default, N/A'\n"
FAKE_PEER = """import sys
print('ready made-up', flush=True)
for line in sys.stdin: print(0.002, flush=True)
"""


class TableTest(unittest.TestCase):
    def verdicts(self, state):
        return {name: (value, table.verdict(value, wanted)) for name, value, wanted in table.floors(state)}

    def test_a_whole_state(self):
        found = list(self.verdicts(made_up.state()).values())
        self.assertEqual([f[1] for f in found], ["reached", "reached", "not reached", "reached", "reached", "reached",
                                                 "reached", "not reached"])
        self.assertEqual([round(f[0], 3) for f in found], [1, 1.5, 0.75, 0.7, 0.86, 1.5, 1.6, 1.9])

    def test_nothing_measured_is_nothing_claimed(self):
        for state in ({"stages": {}}, {"stages": {n: made_up.stage({}, "failed", "no") for n in made_up.state()["stages"]
                                                  if not n.startswith("tests")}}):
            self.assertEqual({v for _, v in self.verdicts(state).values()}, {"not measured"})
            self.assertNotIn("| reached", table.markdown(state))

    def test_parts_that_are_missing(self):
        state = made_up.state()
        state["stages"]["tests-own"]["state"] = "failed"
        self.assertIn("not reached", list(self.verdicts(state).values())[0])
        state["selected"] = "*one*"
        self.assertEqual(list(self.verdicts(state).values())[0], (None, "not measured"))
        state["stages"]["train-resnet50"]["result"]["precision"] = "f32"  # is no bf16 result
        self.assertEqual({v for _, v in list(self.verdicts(state).values())[1:4]}, {"not measured"})
        del state["stages"]["device"]["result"]["attributes"]  # which kernels are large is not known
        self.assertEqual({v for _, v in list(self.verdicts(state).values())[4:6]}, {"not measured"})

    def test_the_text(self):
        text = table.markdown(made_up.state())
        for line in ("| small / n=1 | bf16 | graft | 1,000.0 |", "| train-head | bf16 | graphs |  |  | not measured | out of memory |",
                     "| compute-sanitizer racecheck | it cannot be used here: no | not measured |"):
            self.assertIn(line.replace("1,000.0", "1000.0"), text)


class Folder(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.out = self.folder / "out"

    def script(self, path, text):
        path = self.folder / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def start(self, *words, build, **environment):
        command = [sys.executable, SOURCE / "tools" / "gpu_check", "--build", build, "--out", self.out, *words]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                env={**os.environ, "CALLS": str(self.folder / "calls"), **environment})

    def check(self, *words, code, **environment):
        process = self.start(*words, **environment)
        said, _ = process.communicate(timeout=300)
        self.assertEqual(process.returncode, code, said)
        return said

    def state(self):
        return json.loads((self.out / "gpu_check.json").read_text())


class TurnsTest(Folder):
    def test_two_programs_in_turns(self):
        peer = [sys.executable, "-c", FAKE_PEER]
        faster = [sys.executable, "-c", FAKE_PEER.replace("0.002", "0.001")]
        with open(self.folder / "log", "w") as log:
            found = turns.measure(faster, peer, 8, commands.Clock(60), log, rounds=3)
            self.assertEqual((found["graft"], found["peer"], found["ratio"]), (8000, 4000, 2))
            with self.assertRaisesRegex(commands.Failed, "ended with exit code 5"):
                turns.measure([sys.executable, "-c", "exit(5)"], peer, 8, commands.Clock(60), log)
            with self.assertRaises(commands.OutOfTime):
                turns.measure([sys.executable, "-c", "import time; time.sleep(60)"], peer, 8, commands.Clock(0.5), log)


class WithoutGpuTest(Folder):
    def test_it_says_so_and_writes_nothing(self):
        devices = subprocess.run([BUILD / "graft", "devices"], capture_output=True, text=True).stdout
        if "\ncuda:0     yes" in devices:
            self.skipTest("there is a GPU")
        said = self.check(build=BUILD, code=3)
        self.assertIn("no GPU can be used: there is no NVIDIA driver", said)
        self.assertFalse(self.out.exists())
        self.assertIn("neither", self.check(build=self.folder, code=1))
        self.assertIn("invalid choice", self.check("--stage", "x", build=BUILD, code=2))
        self.assertIn("kernels                   not yet", self.check("--list", build=BUILD, code=0))


@unittest.skipUnless(HOST, "the kernels are not compiled for the host")
class HostRunTest(Folder):
    """The program on kernels that g++ compiled, with a test program of three cases."""

    def setUp(self):
        super().setUp()
        self.build = self.folder / "build"
        self.script("build/tests/gpu/test_gpu", FAKE_TESTS)
        (self.build / "graft").symlink_to(BUILD / "graft")
        self.script("bin/nvidia-smi", FAKE_SMI)
        self.gpu = {"GRAFT_CUDA_PLUGIN": str(HOST[0]), "LD_LIBRARY_PATH": str(HOST[1]), "build": self.build,
                    "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}

    def states(self):
        return {name: s["state"] for name, s in self.state()["stages"].items()}

    def test_stages_and_a_real_case(self):
        build = {**self.gpu, "build": BUILD}
        self.check("--stage", "device", "--stage", "tests", "--tests", "*captured once and replayed*", code=0, **build)
        found = self.state()["stages"]
        self.assertEqual(found["device"]["result"]["nvidia-smi"]["name"], "Fake GPU")
        self.assertEqual(found["device"]["result"]["pytorch"], "")
        self.assertEqual(len(found["tests"]["result"]["passed"]), 1)
        text = (self.out / "gpu_check.md").read_text()
        self.assertIn("host-run GPU", text)
        self.assertNotIn("| reached", text)

    def wait_until(self, stage, process):
        for _ in range(600):
            try:
                if self.states().get(stage) == "running" and "two" in (self.folder / "calls").read_text():
                    return
            except (FileNotFoundError, json.JSONDecodeError):
                pass
            time.sleep(0.05)
        process.kill()
        self.fail(f"{stage} was never under way")

    def test_it_goes_on_after_a_kill_and_after_ctrl_c(self):
        for number, code, left_as in ((signal.SIGKILL, -9, "running"), (signal.SIGINT, 130, "interrupted")):
            process = self.start("--stage", "device", "--stage", "tests", SLOW="5", **self.gpu)
            self.wait_until("tests", process)
            process.send_signal(number)
            process.communicate(timeout=60)
            self.assertEqual(process.returncode, code)
            self.assertEqual(self.states(), {"device": "done", "tests": left_as})
            (self.folder / "calls").unlink()
        began = self.state()["stages"]["device"]["when"]
        self.check("--total", "0.3", code=1, **self.gpu)  # the rest, as far as the time goes
        self.assertEqual(self.states()["tests"], "done")
        self.assertEqual(self.state()["stages"]["device"]["when"], began)  # was not measured again
        self.assertEqual(len(self.state()["stages"]["tests"]["result"]["passed"]), 3)

    def test_a_case_that_ends_the_program_takes_no_other_along(self):
        said = self.check("--stage", "tests", "--stage", "device", BAD="1", code=1, **self.gpu)
        self.assertIn("1 of 3 test cases fail: three", said)
        self.assertEqual(self.states(), {"tests": "failed", "device": "done"})  # the next went on
        self.assertEqual(self.state()["stages"]["tests"]["result"]["failed"],
                         {"three": "the program ended with exit code 139"})

    def test_a_stage_that_takes_too_long_is_ended(self):
        self.check("--stage", "tests", "--stage", "device", "--limit", "0.05", SLOW="60", code=1, **self.gpu)
        self.assertEqual(self.states(), {"tests": "interrupted", "device": "done"})


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
