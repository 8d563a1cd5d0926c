"""Runs commands: output to a log, an end when time is over, and none left behind."""

import os
import signal
import subprocess
import time


class Failed(Exception):
    """Why a stage has no result, in one line."""


class OutOfTime(Failed):
    pass


class Clock:
    """The time a stage has."""

    def __init__(self, seconds):
        self.end = time.monotonic() + seconds

    def left(self):
        seconds = self.end - time.monotonic()
        if seconds <= 0:
            raise OutOfTime("its time was over")
        return seconds


def end(process):
    """Ends a process that `start` began, and what it started in its turn."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            pass
        try:
            process.wait(timeout=5)
            return
        except subprocess.TimeoutExpired:
            pass


def start(command, environment=None, **options):
    """A session of its own, so that Ctrl-C reaches gpu_check alone."""
    try:
        return subprocess.Popen([str(word) for word in command], env={**os.environ, **(environment or {})},
                                start_new_session=True, text=True, errors="replace", **options)
    except OSError as error:
        raise Failed(f"{command[0]} cannot be started: {error.strerror}") from error


def run(command, clock, log, environment=None):
    """(exit code, standard output); both outputs go to `log`, an open file, too."""
    process = start(command, environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, err = process.communicate(timeout=clock.left())
    except subprocess.TimeoutExpired:
        raise OutOfTime(f"{os.path.basename(str(command[0]))} was not done in time") from None
    finally:
        end(process)
    said = " ".join(str(word) for word in command)
    log.write(f"$ {said}\n{out}{err}exit code {process.returncode}\n\n")
    log.flush()
    return process.returncode, out


def answer(command, clock, log, environment=None):
    """Standard output of a command that must end well."""
    code, out = run(command, clock, log, environment)
    if code != 0:
        raise Failed(f"{os.path.basename(str(command[0]))} ended with exit code {code}; its log says more")
    return out
