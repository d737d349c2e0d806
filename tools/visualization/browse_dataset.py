"""Draw images of a data set as a training sees them: augmented, with their annotations."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS, VISUALIZERS, init_default_scope
from tqdm import tqdm

from mmfreq.engine.command_line import (
    add_config_options,
    add_data_root,
    errors_as_messages,
    make_parser,
)
from mmfreq.engine.config_errors import require_keys
from mmfreq.engine.predictions import LIBRARIES, library_of
from mmfreq.engine.run_configs import read_config
from mmfreq.utils.named_errors import inner_data_sets, name_errors

EXAMPLE = """\
  python tools/visualization/browse_dataset.py configs/fpn_dfformer_s18_ade20k.py --number 8 \\
      --data-root data/ade/ADEChallengeData2016"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument('config', help='config file')
    add_data_root(parser)
    parser.add_argument('--split', choices=['train', 'val', 'test'], default='train')
    parser.add_argument('--number', type=int, default=16, help='of images (default: 16)')
    parser.add_argument('--out-dir', default='work_dirs/browse', help='default: work_dirs/browse')
    add_config_options(parser)
    return parser.parse_args()


def browse(cfg: Config, split: str, number: int, folder: Path) -> int:
    """Draw the first samples of a split; returns how many pictures there are."""
    require_keys(cfg, ('model', f'{split}_dataloader'), f'--split {split}')
    library = library_of(cfg, 'browse_dataset')
    init_default_scope(cfg.get('default_scope') or library)
    dataset = DATASETS.build(cfg[f'{split}_dataloader'].dataset)
    name_errors(dataset)
    given = cfg.get('visualizer') or dict(type=f'{library}.{LIBRARIES[library].visualizer}')
    visualizer = VISUALIZERS.build({**given, 'vis_backends': [], 'name': 'browse'})
    visualizer.dataset_meta = dataset.metainfo
    inner = next(inner_data_sets(dataset))
    late = annotated_late(getattr(inner, 'pipeline', None))
    pictures = 0
    for i in tqdm(range(min(number, len(dataset))), unit='image'):
        for view, inputs, annotated in views_of(dataset[i]):
            image = np.ascontiguousarray(inputs.permute(1, 2, 0).numpy()[..., 2::-1])  # to RGB
            name = f'{i:05d}_{Path(annotated.get("img_path") or "image").stem}{view}'
            out_file = str(folder / f'{name}.png')
            if library == 'mmpretrain':
                visualizer.visualize_cls(image, annotated, draw_pred=False, out_file=out_file)
            else:
                height, width = size_of_annotations(annotated, image.shape[:2], late)
                visualizer.add_datasample(
                    name,
                    mmcv.imresize(image, (width, height)),
                    annotated,
                    draw_gt=True,
                    draw_pred=False,
                    out_file=out_file,
                )
            pictures += 1
    return pictures


def views_of(sample: Any) -> Iterator[tuple[str, Any, Any]]:
    """Images of a sample with their annotations, each with what to add to its file's name.

    Semi-supervised pipelines have a dict of branches, self-supervised ones a list of views.
    """
    inputs, annotated = sample['inputs'], sample['data_samples']
    if isinstance(inputs, dict):
        for branch, image in inputs.items():
            if image is not None:
                yield f'_{branch}', image, as_arrays(annotated[branch])
    elif isinstance(inputs, (list, tuple)):
        for i, image in enumerate(inputs):
            yield f'_{i}', image, as_arrays(annotated)
    else:
        yield '', inputs, as_arrays(annotated)


def as_arrays(annotated: Any) -> Any:
    """Turn tensors, and boxes and masks of mmdet's own types, into arrays, which can be drawn."""
    annotated = annotated.numpy()
    instances = annotated.get('gt_instances')
    if instances is not None:
        from mmdet.structures.bbox import BaseBoxes

        if isinstance(instances.get('bboxes'), BaseBoxes):
            instances.bboxes = instances.bboxes.tensor
        if 'masks' in instances:
            height, width = instances.masks.height, instances.masks.width
            instances.masks = instances.masks.to_ndarray().reshape(-1, height, width).astype(bool)
    return annotated


def annotated_late(pipeline: Any) -> bool:
    """Whether annotations are loaded after images are resized, as in tests, and keep their size."""
    names = [type(transform).__name__ for transform in getattr(pipeline, 'transforms', [])]
    loading = [i for i, name in enumerate(names) if 'LoadAnnotations' in name]
    return bool(loading) and any('Resize' in name for name in names[: loading[0]])


def size_of_annotations(annotated: Any, shape: tuple[int, int], late: bool) -> tuple[int, int]:
    """Height and width that annotations are given for; ``shape`` is that of the image."""
    instances = annotated.get('gt_instances')
    if instances is not None and 'masks' in instances and len(instances.masks):
        return tuple(instances.masks.shape[-2:])
    label_map = annotated.get('gt_sem_seg')
    if label_map is not None and instances is None:
        return tuple(label_map.shape[-2:])
    return tuple(annotated.ori_shape[:2]) if late else shape


def main() -> None:
    """Run the command."""
    args = parse_args()
    folder = Path(args.out_dir)
    with errors_as_messages():
        cfg = read_config(args.config, args.cfg_options, None, args.data_root, [args.split])
        number = browse(cfg, args.split, args.number, folder)
    print(f'{number} pictures in {folder}')


if __name__ == '__main__':
    main()
