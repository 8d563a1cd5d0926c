"""Where the CUDA kernels order their threads and bound their accesses: barriers, waits, guards. (./mechanical removes them.)

Only what a device runs counts, functions marked __device__ or __global__, and the host's waits for streams and events.
What is compiled by nvcc alone is left out, and so is what the compiler decides: constants and `constexpr`. A loop's end
is not a guard either: without it the loop does not end.
"""

import collections
import dataclasses
import re

CALLS = {
    "barrier": re.compile(r"\b__syncthreads\("),
    "syncwarp": re.compile(r"\b__syncwarp\("),
    "copy-wait": re.compile(r"\basync_wait<"),
}
HOST_CALLS = re.compile(r"\bcuda(?:StreamWaitEvent|EventSynchronize|StreamSynchronize)\(")
PREDICATES = re.compile(r"\b(?:\w+\.)?(?:inside|is_below|fits)\(")
COMPARISON = re.compile(r" (<=|>=|<|>) ")
ONE_OF_SOME = re.compile(r"(?:\bthreadIdx\.[xyz]| % [\w.]+) (==|!=) 0\b")  # threads, pixels of a stride
FUNCTION = re.compile(r"__(?:device|global)__")
CONSTANT = re.compile(r"k[A-Z]\w*|[A-Z]\w*|u?int\d*(?:_t)?|sizeof|static_cast|size_t")
BRACKETS = {")": "(", "]": "[", "}": "{"}


@dataclasses.dataclass
class Place:
    file: str      # kernels/cuda/…
    function: str
    text: str      # what is removed
    kind: str      # one of CALLS, event-wait, guard
    begin: int
    end: int
    gone: str      # what stands there without it
    line: int
    name: str = ""
    number: int = -1  # what it is called at run time


def compiled_here(text):
    """The text with comments, strings, the preprocessor's lines and nvcc's branches blanked out, of the same length."""
    def blank(s):
        return re.sub(r"[^\n]", " ", s)

    text = re.sub(r'"(?:\\.|[^"\\\n])*"|//[^\n]*', lambda m: blank(m[0]), text)
    lines, skipping, continued = text.split("\n"), False, False
    for i, line in enumerate(lines):
        directive = line.lstrip().startswith("#") or continued
        continued = directive and line.endswith("\\")
        if re.match(r"\s*#if .*__CUDA(CC|_ARCH)__", line):
            skipping = True
        elif skipping and re.match(r"\s*#(else|endif)", line):
            skipping = False
        if directive or skipping:
            lines[i] = blank(line)
    return "\n".join(lines)


def closing(code, at):
    """Behind the bracket that closes the one at `at`."""
    depth = 0
    for i in range(at, len(code)):
        depth += (code[i] in "([{") - (code[i] in ")]}")
        if depth == 0:
            return i + 1
    raise ValueError("a bracket is not closed")


def device_functions(code):
    """(name, begin of the body, its end) of each."""
    behind = 0
    for m in FUNCTION.finditer(code):
        if m.start() < behind:
            continue
        at = m.end()
        while code[at] not in "{;":
            at = closing(code, at) if code[at] == "(" else at + 1
        if code[at] == ";":
            continue
        begin, behind = at, closing(code, at)
        while (follows := re.match(r"\s*,?[^;{}()]*\{|\s*,\s*\w+\(", code[behind:])) and code[behind] in " ,":
            begin = behind + follows.end() - 1  # that was a member's initialiser
            behind = closing(code, begin)
        header = re.sub(r"__launch_bounds__\([^()]*\)", "", code[m.end():at])
        if "constexpr" not in header:
            yield re.findall(r"(\w+|operator\(\))\s*\(", header)[0], begin, behind


def operand_begin(code, at):
    depth = 0
    while True:
        c = code[at - 1]
        if c in BRACKETS and not (c == "}" and code[at] == "\n"):
            depth += 1
        elif c in BRACKETS.values() or c == "}":
            depth -= 1
        if depth < 0 or (depth == 0 and (
                c in ",;?" or code[at - 2:at] in ("&&", "||") or (c == ":" and ":" not in (code[at - 2], code[at])) or
                (c == "=" and code[at - 2] not in "=<>!" and code[at] != "=") or
                re.search(r"\breturn$", code[at - 7:at]))):
            while code[at].isspace():
                at += 1
            return at
        at -= 1


def operand_end(code, at):
    depth = 0
    while True:
        c = code[at]
        depth += (c in BRACKETS.values()) - (c in BRACKETS)
        if depth < 0 or (depth == 0 and (c in ",;?" or code[at:at + 2] in ("&&", "||") or
                                         (c == ":" and ":" not in (code[at - 1], code[at + 1])))):
            while code[at - 1].isspace():
                at -= 1
            return at
        at += 1


def is_constant(expression):
    return all(CONSTANT.fullmatch(word) for word in re.findall(r"[A-Za-z_]\w*", expression))


def is_loop_end(code, at):
    """The only condition of a `for`."""
    depth = 0
    while depth >= 0:
        at -= 1
        depth += (code[at] in BRACKETS) - (code[at] in BRACKETS.values())
    if code[at] != "(" or not code[:at].endswith("for "):
        return False
    condition = code[at:closing(code, at)].split(";")[1]
    return "&&" not in condition and "||" not in condition


def decided_by_compiler(code, at):
    statement = code[max(code.rfind(c, 0, at) for c in ";{}"):at]
    return "constexpr" in statement or "static_assert" in statement


def squeezed(text):
    return " ".join(text.split())


def alternatives(code, at):
    """{X, Y} where `? X : Y` stands, without their casts."""
    question = re.compile(r"\s*\?").match(code, at)
    if not question:
        return set()
    colon = operand_end(code, question.end())
    if code[colon:].lstrip()[:1] != ":":
        return set()
    second = code.index(":", colon) + 1
    both = code[question.end():colon], code[second:operand_end(code, second)]
    return {re.sub(r"^static_cast<\w+>\((.*)\)$", r"\1", squeezed(s)) for s in both}


def guards(code, begin, end):
    """(begin, end, what it becomes) of each comparison: what lets the thread in. Where it chooses the smaller of two, it
    becomes either."""
    for m in COMPARISON.finditer(code, begin, end):
        first, last = operand_begin(code, m.start()), operand_end(code, m.end())
        left, right = squeezed(code[first:m.start()]), squeezed(code[m.end():last])
        if is_constant(left + " " + right) or is_loop_end(code, m.start()) or decided_by_compiler(code, first):
            continue
        if alternatives(code, last) == {left, right}:
            yield first, last, "true"
            yield first, last, "false"
        elif right == "0" and m[1] in ("<", ">="):
            yield first, last, "false" if m[1] == "<" else "true"
        else:
            yield first, last, "true" if m[1] in ("<", "<=") else "false"
    for m in PREDICATES.finditer(code, begin, end):
        yield m.start(), closing(code, m.end() - 1), "true"
    for m in ONE_OF_SOME.finditer(code, begin, end):
        first = operand_begin(code, m.start())
        if not is_constant(code[first:m.end()]) and not is_loop_end(code, m.start()):
            yield first, m.end(), "true" if m[1] == "==" else "false"


def places_of(file, text):
    code, found = compiled_here(text), []

    def add(function, kind, begin, end, gone):
        shown = squeezed(code[begin:end])
        found.append(Place(file, function, shown, kind, begin, end, gone, code.count("\n", 0, begin) + 1))

    def calls(pattern, begin=0, end=len(code)):
        return ((m.start(), closing(code, code.index("(", m.start()))) for m in pattern.finditer(code, begin, end))

    functions = list(device_functions(code))
    if code.count("__global__") != sum(function.endswith("_kernel") for function, _, _ in functions):
        raise ValueError(f"{file}: kernels are not found, or not called …_kernel")
    for function, begin, end in functions:
        for kind, pattern in CALLS.items():
            for first, last in calls(pattern, begin, end):
                add(function, kind, first, last, "static_cast<void>(0)")
        for first, last, gone in guards(code, begin, end):
            add(function, "guard", first, last, gone)
    for first, last in calls(HOST_CALLS):
        add("host", "event-wait", first, last, "cudaSuccess")
    for kind, pattern in CALLS.items():  # none may stand where this program does not look
        if len(list(pattern.finditer(code))) != sum(p.kind == kind for p in found):
            raise ValueError(f"{file}: a {kind} stands outside of what is taken for a device's functions")

    found.sort(key=lambda p: (p.begin, -p.end))
    count = collections.Counter()
    for p in found:
        p.name = f"{p.file.rsplit('/', 1)[-1]} {p.function}: {p.text}" + (f" -> {p.gone}" if p.kind == "guard" else "")
        count[p.name] += 1
        if count[p.name] > 1:
            p.name += f" ({count[p.name]})"
    return found


def instrumented(text, places):
    """The text in which each place asks whether it is removed (removed.cpp)."""
    inserted = []  # before what stands at a position: what closes a place, then what opens one, the outer one first
    for p in places:
        removed = f"graft_removed({p.number})"
        before, after = {"true": (f"({removed} || (", "))"),
                         "false": (f"(!{removed} && (", "))")}.get(p.gone, (f"({removed} ? {p.gone} : ", ")"))
        inserted.append(((p.begin, 1, -p.end, p.number), before))
        inserted.append(((p.end, 0, -p.begin, -p.number), after))
    for (at, *_), new in sorted(inserted, reverse=True):
        text = text[:at] + new + text[at:]
    return "bool graft_removed(int place);\n#line 1\n" + text
