"""Render a small data set, train GFNet-H-S with UperNet on it, evaluate and predict new images.

Every step is a command of mmfreq; it is printed before it runs. At the end there is a sheet of
images, their truth and their predictions, and the commands that use the model on images of yours.
"""

import json
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from mmengine.registry import DATASETS, DefaultScope
from PIL import Image

from mmfreq.datasets.mini import best_constant_miou
from mmfreq.engine.command_line import errors_as_messages, make_parser
from mmfreq.inference.drawing import blend, sheet
from mmfreq.inference.model import init_model
from mmfreq.inference.predict import predict

CONFIG = 'mmfreq::mini/upernet_gfnet_h_s.py'
RENDER = Path(__file__).parent / 'dataset_converters/render_mini_data.py'
MARKER = 'made_by_the_demo'
SHOWN = 4  # rows of the sheet
EXAMPLE = '  python tools/demo.py --work-dir work_dirs/demo'


def run(*command: str) -> None:
    """Print a command and run it."""
    shown = 'mmfreq' if command[:2] == ('-m', 'mmfreq') else 'python'
    print('$', shown, shlex.join(command[2:] if shown == 'mmfreq' else command), flush=True)
    if subprocess.run([sys.executable, *command]).returncode:
        sys.exit('error: the step above failed')


def empty(folder: Path) -> None:
    """Empty the folder of an earlier demo; that of anything else is left alone."""
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise ValueError(f'--work-dir {folder} holds something else; name a new or empty folder')
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARKER).touch()


def draw_sheet(checkpoint: Path, root: Path, path: Path) -> None:
    """Validation images, their truth and their predictions side by side."""
    model: Any = init_model(CONFIG, str(checkpoint))
    settings = model.cfg.val_dataloader.dataset
    settings.data_root = str(root)
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = DATASETS.build(settings)
        samples = [dataset[i]['data_samples'] for i in range(SHOWN)]
    rows = []
    for sample, found in zip(samples, predict(model, [s.img_path for s in samples]), strict=True):
        truth = sample.gt_sem_seg.data[0].numpy()
        maps = [
            blend(found.image, labels, found.palette, 0.7) for labels in (truth, found.label_map)
        ]
        rows.append([found.image, *maps])
    Image.fromarray(sheet(rows, ('image', 'truth', 'prediction'))).save(path)


def main() -> None:
    """Run the command."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument('--work-dir', default='work_dirs/demo', help='default: work_dirs/demo')
    parser.add_argument('--iters', type=int, default=200, help='training iterations (default: 200)')
    args = parser.parse_args()
    work_dir = Path(args.work_dir)
    with errors_as_messages():
        empty(work_dir)
    started = time.time()
    data, run_dir, checkpoint = (work_dir / name for name in ('data', 'run', 'demo.pth'))
    root = data / 'ADEChallengeData2016'
    warm_up = min(30, args.iters // 2)
    options = (
        f'train_cfg.max_iters={args.iters}',
        f'train_cfg.val_begin={args.iters + 1}',  # evaluated below
        f'param_scheduler.0.end={warm_up}',
        f'param_scheduler.1.begin={warm_up}',
        f'param_scheduler.1.end={args.iters}',
    )
    common = ('--data-root', str(root), '--work-dir', str(run_dir))
    run(str(RENDER), str(data))
    run('-m', 'mmfreq', 'train', CONFIG, *common, '--cfg-options', *options)
    shutil.copy(run_dir / f'iter_{args.iters}.pth', checkpoint)
    run('-m', 'mmfreq', 'test', CONFIG, str(checkpoint), *common)
    draw_sheet(checkpoint, root, work_dir / 'sheet.png')

    report = max(run_dir.glob('*/*.json'), key=lambda path: path.stat().st_mtime)
    miou = json.loads(report.read_text().splitlines()[-1])['mIoU']
    constant = best_constant_miou(root / 'annotations' / 'validation')
    minutes = (time.time() - started) / 60
    print(f'\nmIoU {miou:.1f} on the validation scenes, after {minutes:.1f} min; the best constant')
    print(f'prediction has {constant:.1f}. Image, truth and prediction: {work_dir / "sheet.png"}')
    print('\nWith an image of yours (the model knows landscapes like those of the sheet):')
    print(f'  mmfreq predict {CONFIG} {checkpoint} IMAGE.jpg')
    print(f'  mmfreq serve {CONFIG} {checkpoint}')
    if miou < 3 * constant:
        sys.exit('error: the model should be at least 3 times better than a constant')


if __name__ == '__main__':
    main()
