"""Running a tool as a user does, in a process of its own."""

import os
import subprocess
import sys


def run(*command, check=True, **env):
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHON': sys.executable, **env},
    )
    if check:
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done


def python(*command, **kwargs):
    return run(sys.executable, *command, **kwargs)


def output(done):
    return done.stdout + done.stderr
