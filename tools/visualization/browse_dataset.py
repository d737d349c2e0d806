"""Draw images of a data set as a training sees them: augmented, with their annotations."""

import argparse
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS, VISUALIZERS, init_default_scope
from tqdm import tqdm

from mmfreq.engine.command_line import add_config_options, errors_as_messages, make_parser
from mmfreq.engine.run_configs import read_config

EXAMPLE = """\
  python tools/visualization/browse_dataset.py configs/fpn_dfformer_s18_ade20k.py --number 8 \\
      --data-root data/ade/ADEChallengeData2016"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument('config', help='config file')
    parser.add_argument('--data-root', help="folder of the data set in place of the config's")
    parser.add_argument('--split', choices=['train', 'val', 'test'], default='train')
    parser.add_argument('--number', type=int, default=16, help='of images (default: 16)')
    parser.add_argument('--out-dir', default='work_dirs/browse', help='default: work_dirs/browse')
    add_config_options(parser)
    return parser.parse_args()


def browse(cfg: Config, split: str, number: int, folder: Path) -> int:
    """Draw the first samples of a split; returns how many."""
    init_default_scope(cfg.default_scope)
    dataset = DATASETS.build(cfg[f'{split}_dataloader'].dataset)
    visualizer = VISUALIZERS.build({**cfg.visualizer, 'vis_backends': [], 'name': 'browse'})
    visualizer.dataset_meta = dataset.metainfo
    number = min(number, len(dataset))
    for i in tqdm(range(number), unit='image'):
        sample = dataset[i]
        image = sample['inputs'].permute(1, 2, 0).numpy()[..., ::-1]  # to RGB
        annotated = sample['data_samples'].numpy()
        if 'gt_instances' in annotated:
            as_arrays(annotated.gt_instances)
        name = f'{i:05d}_{Path(annotated.img_path).stem}'
        visualizer.add_datasample(
            name,
            image.copy(),
            annotated,
            draw_gt=True,
            draw_pred=False,
            out_file=str(folder / f'{name}.png'),
        )
    return number


def as_arrays(instances: Any) -> None:
    """Turn boxes and masks of mmdet's own types into arrays, which its visualizer draws."""
    from mmdet.structures.bbox import BaseBoxes

    if isinstance(instances.get('bboxes'), BaseBoxes):
        instances.bboxes = instances.bboxes.tensor
    if 'masks' in instances:
        height, width = instances.masks.height, instances.masks.width
        instances.masks = instances.masks.to_ndarray().reshape(-1, height, width).astype(bool)


def main() -> None:
    """Run the command."""
    args = parse_args()
    folder = Path(args.out_dir)
    with errors_as_messages():
        cfg = read_config(args.config, args.cfg_options, None, args.data_root)
        number = browse(cfg, args.split, args.number, folder)
    print(f'{number} pictures in {folder}')


if __name__ == '__main__':
    main()
