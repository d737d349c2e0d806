"""Running a tool as a user does."""

import contextlib
import functools
import io
import json
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

ADE, COCO = 'tests/small/upernet.py', 'tests/small/mask_rcnn.py'


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


def python(*command, check=True, **env):
    """Run a script in a process of its own, which has torch and MMCV imported already."""
    if env or str(command[0]).startswith('-'):  # the former may count before the imports
        return run(sys.executable, *command, check=check, **env)
    arguments = [str(part) for part in command]
    with tempfile.TemporaryDirectory() as folder:
        out, err = (str(Path(folder, name)) for name in ('out', 'err'))
        server = forkserver()
        server.stdin.write(json.dumps(dict(arguments=arguments, out=out, err=err)) + '\n')
        server.stdin.flush()
        status = json.loads(server.stdout.readline())
        texts = [Path(path).read_text() for path in (out, err)]
    done = subprocess.CompletedProcess(arguments, status, *texts)
    if check:
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done


@functools.cache
def forkserver():
    return subprocess.Popen(
        [sys.executable, Path(__file__).with_name('forkserver.py')],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def output(done):
    return done.stdout + done.stderr


def here(*command):
    """Output of a tool that is run in this process, which saves the time for imports."""
    written, before = io.StringIO(), sys.argv
    sys.argv = [str(part) for part in command]
    try:
        with contextlib.redirect_stdout(written):
            runpy.run_path(sys.argv[0], run_name='__main__')
    finally:
        sys.argv = before
    return written.getvalue()


def refusal(*command):
    """What a tool says when it refuses its input."""
    with contextlib.redirect_stderr(io.StringIO()) as errors:
        try:
            output = here(*command)
        except SystemExit as end:
            assert end.code not in (0, None)
            return errors.getvalue() + str(end.code)
    raise AssertionError(f'{command} did not fail: {output}')
