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

ADE, COCO = 'configs/upernet_gfnet_h_ti_ade20k.py', 'configs/mask_rcnn_gfnet_h_ti_coco.py'
LOADERS = [
    f'{split}_dataloader.{option}'
    for split in ('train', 'val', 'test')
    for option in ('num_workers=0', 'persistent_workers=False')
]
SMALL_ADE = [
    *LOADERS,
    'model.data_preprocessor.size=(64,64)',
    'model.backbone.img_size=64',
    'model.test_cfg.crop_size=(64,64)',
    'model.test_cfg.stride=(64,64)',
    'model.decode_head.channels=32',
    'train_dataloader.dataset.pipeline.3.scale=(128,96)',
    'train_dataloader.dataset.pipeline.4.crop_size=(64,64)',
    'val_dataloader.dataset.pipeline.1.scale=(128,96)',
    'test_dataloader.dataset.pipeline.1.scale=(128,96)',
    'train_cfg.max_iters=2',
    'param_scheduler.0.end=1',
    'param_scheduler.1.begin=1',
    'default_hooks.logger.interval=1',
    'default_hooks.visualization.interval=1',
]
SMALL_COCO = [
    *LOADERS,
    'train_dataloader.dataset.pipeline.2.scale=(128,96)',
    'val_dataloader.dataset.pipeline.1.scale=(128,96)',
    'test_dataloader.dataset.pipeline.1.scale=(128,96)',
    'model.train_cfg.rpn_proposal.max_per_img=50',
    'model.test_cfg.rpn.max_per_img=50',
    'model.test_cfg.rcnn.score_thr=0.0',  # so that an untrained detector finds something
    'train_cfg.max_epochs=1',
    'default_hooks.logger.interval=1',
]


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
