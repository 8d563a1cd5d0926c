"""Two programs measured in turns in one run: what disturbs one disturbs the other."""

import select
import statistics
import subprocess
import time

import commands

ROUNDS = 7
TURN_SECONDS = 2.0


class Program:
    """Says `ready …` once, then for each number of steps the seconds of one."""

    def __init__(self, command, clock, log, environment=None):
        log.write("$ " + " ".join(map(str, command)) + "\n")
        log.flush()
        self.name, self.clock = command[0], clock
        self.process = commands.start(command, environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        try:
            self.about = self.line()
            if not self.about.startswith("ready"):
                raise commands.Failed(self.about)
        except BaseException:
            self.close()
            raise

    def line(self):
        ready, _, _ = select.select([self.process.stdout], [], [], self.clock.left())
        text = self.process.stdout.readline().strip() if ready else None
        if text is None:
            raise commands.OutOfTime(f"{self.name} was not done in time")
        if not text:
            raise commands.Failed(f"{self.name} ended with exit code {self.process.wait()}; the log says more")
        return text

    def seconds(self, steps):
        try:
            self.process.stdin.write(f"{steps}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the next line says that it has ended
        return float(self.line())

    def close(self):
        commands.end(self.process)
        for pipe in (self.process.stdin, self.process.stdout):
            try:
                pipe.close()
            except BrokenPipeError:
                pass


def steps_of(program):
    """Steps for one turn, after enough of them to warm up: a compiler may work during the first ones."""
    for _ in range(3):
        program.seconds(1)
    return max(1, round(TURN_SECONDS / max(program.seconds(3), 1e-6)))


def measure(ours, theirs, batch, clock, log, rounds=ROUNDS, environment=None):
    """Images a second of both, and the ratio ours / theirs round by round."""
    programs = []
    try:
        for command in (ours, theirs):
            programs.append(Program(command, clock, log, environment))
        steps = [steps_of(p) for p in programs]
        times = [[], []]
        for _ in range(rounds):
            for i, program in enumerate(programs):
                times[i].append(program.seconds(steps[i]))
        ratios = [theirs_seconds / ours_seconds for ours_seconds, theirs_seconds in zip(*times)]
        return {
            "graft": batch / statistics.median(times[0]), "peer": batch / statistics.median(times[1]),
            "ratio": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios), "rounds": rounds,
            "steps": steps, "about": [p.about for p in programs], "when": time.strftime("%Y-%m-%d %H:%M:%S"),
        }
    finally:
        for program in programs:
            program.close()
