"""Runs tools in processes of their own without importing torch and MMCV for each.

Started once by :mod:`process`. Reads a command per line, forks, runs the script in the child as
``python SCRIPT ...`` does, and answers with the child's exit status. Nothing of mmdet, mmseg,
mmpretrain or mmfreq is imported before the fork, so scripts have to import what they need.
"""

import atexit
import contextlib
import importlib
import json
import os
import runpy
import sys
import traceback

PRELOADED = (
    'cv2',
    'imgaug',
    'matplotlib.pyplot',
    'mmcv.ops',
    'mmengine.runner',
    'pycocotools.mask',
    'scipy.optimize',
    'tensorboard',
    'torch.utils.tensorboard',
    'torchvision',
    'transformers',
)


def run_script(arguments: list[str], out: str, err: str) -> int:
    """Run a script in this process, with its output in files; returns the exit status."""
    for path, stream in ((out, 1), (err, 2)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, stream)
    sys.argv = arguments
    sys.path.insert(0, os.path.dirname(os.path.abspath(arguments[0])))
    status = 0
    try:
        runpy.run_path(arguments[0], run_name='__main__')
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if end.code is not None and not isinstance(end.code, int):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def main() -> None:
    """Answer commands until the end of the input."""
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)  # libraries print when they are imported
    for name in PRELOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for line in sys.stdin:
        command = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(run_script(**command))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(json.dumps(status), file=answers, flush=True)


if __name__ == '__main__':
    main()
