"""Render a small data set, train GFNet-H-S with UperNet on it, evaluate and draw predictions.

Every step is a command of this repository; it is printed before it runs.
"""

import argparse
import json
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from mmfreq.datasets.mini import best_constant_miou

CONFIG = 'configs/mini/upernet_gfnet_h_s.py'


def run(*command: str) -> None:
    """Print a command and run it."""
    print('$', shlex.join(command), flush=True)
    subprocess.run([sys.executable, *command], check=True)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='example: python tools/demo.py --work-dir work_dirs/demo',
    )
    parser.add_argument(
        '--work-dir', default='work_dirs/demo', help='folder of the demo, emptied at the start'
    )
    parser.add_argument('--iters', type=int, default=200, help='training iterations (default: 200)')
    args = parser.parse_args()
    work_dir = Path(args.work_dir)
    warm_up = min(30, args.iters // 2)
    options = [
        f'train_cfg.max_iters={args.iters}',
        f'train_cfg.val_begin={args.iters + 1}',  # test.py evaluates below
        f'param_scheduler.0.end={warm_up}',
        f'param_scheduler.1.begin={warm_up}',
        f'param_scheduler.1.end={args.iters}',
    ]
    shutil.rmtree(work_dir, ignore_errors=True)
    started = time.time()
    data, pictures = work_dir / 'data', work_dir / 'pictures'
    root = data / 'ADEChallengeData2016'

    run('tools/dataset_converters/render_mini_data.py', str(data))
    common = ['--data-root', str(root), '--work-dir', str(work_dir / 'run')]
    run('tools/train.py', CONFIG, *common, '--cfg-options', *options)
    checkpoint = str(work_dir / 'run' / f'iter_{args.iters}.pth')
    run('tools/test.py', CONFIG, checkpoint, *common, '--show-dir', str(pictures))

    report = max((work_dir / 'run').glob('*/*.json'), key=lambda path: path.stat().st_mtime)
    miou = json.loads(report.read_text().splitlines()[-1])['mIoU']
    constant = best_constant_miou(root / 'annotations' / 'validation')
    print(
        f'\nmIoU {miou:.2f} on the validation scenes, after {(time.time() - started) / 60:.1f} min'
    )
    print(f'mIoU {constant:.2f} for the best constant prediction: {miou / constant:.1f} times less')
    print(f'pictures, ground truth left and prediction right: {pictures}')
    if miou < 3 * constant:
        sys.exit('error: the model should be at least 3 times better than a constant')


if __name__ == '__main__':
    main()
