"""The cases of test_gpu, a few at a time: one that ends the program or the GPU's context takes no other along."""

import os
import xml.etree.ElementTree

import commands

AT_ONCE = 8


def names(program, clock, log, which):
    """Catch2 answers with their number as exit code."""
    _, out = commands.run([program, "--list-test-names-only", which], clock, log)
    return [line.strip() for line in out.splitlines() if line.strip()]


def as_pattern(name):
    return "".join("\\" + c if c in ",[]" else c for c in name)


def run_cases(program, cases, clock, log, environment, report):
    """({names that passed}, {name: why it did not}) as far as the program came."""
    if os.path.exists(report):
        os.remove(report)
    code, _ = commands.run([program, ",".join(map(as_pattern, cases)), "-r", "junit", "-o", report], clock, log,
                           {**environment, "GRAFT_REQUIRE": "gpu"})
    passed, failed = set(), {}
    try:
        found = xml.etree.ElementTree.parse(report).iter("testcase")
    except (OSError, xml.etree.ElementTree.ParseError):
        return passed, {case: f"the program ended with exit code {code}" for case in cases}
    for case in found:
        name = case.get("name").split("/")[0]
        problems = [p.get("message", "") for p in case if p.tag in ("failure", "error")]
        if problems:
            failed[name] = problems[0]
        else:
            passed.add(name)
    return passed & set(cases) - set(failed), failed


def run(result, program, clock, log, environment, which, folder, save):
    """Fills `result` with passed and failed, and goes on where an earlier run of it came to."""
    passed = result.setdefault("passed", [])
    failed = result.setdefault("failed", {})
    todo = [n for n in names(program, clock, log, which) if n not in passed and n not in failed]
    result["left"] = len(todo)
    if not todo and not passed and not failed:
        raise commands.Failed(f"{program} has no test cases {which}")
    report = str(folder / "cases.xml")
    for first in range(0, len(todo), AT_ONCE):
        part = todo[first:first + AT_ONCE]
        good, bad = run_cases(program, part, clock, log, environment, report)
        if bad and len(part) > 1:  # alone each: a fault of the GPU fails whatever comes behind it in the same program
            for case in part:
                if case not in good:
                    again, still = run_cases(program, [case], clock, log, environment, report)
                    good |= again
                    failed.update(still)
        else:
            failed.update(bad)
        passed += [case for case in part if case in good]
        for case in part:
            if case not in passed and case not in failed:
                failed[case] = "the program said nothing about it"
        result["left"] -= len(part)
        save()
    if failed:
        raise commands.Failed(f"{len(failed)} of {len(failed) + len(passed)} test cases fail: {', '.join(failed)}")
