"""Make a file for others from a checkpoint of a training.

Weights, and the classes and colours of the data set: no state of the optimiser, no config, no log,
no paths. The name ends with the first eight digits of the file's SHA-256, which mmfreq and
torch.hub compare when they load it.
"""

import argparse
from pathlib import Path
from typing import Any

from torch import Tensor

from mmfreq.engine.command_line import add_trust_option, errors_as_messages, make_parser
from mmfreq.utils.checkpoint import find_weights, read_checkpoint, write_weights
from mmfreq.utils.download import sha256

EXAMPLE = """\
  python tools/misc/publish_model.py work_dirs/upernet_gfnet_h_s_ade20k/iter_160000.pth published \\
      --name upernet_gfnet_h_s_ade20k
  python tools/misc/publish_model.py work_dirs/a/best_mIoU_iter_80000.pth published --safetensors"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument('checkpoint', help='path of the checkpoint')
    parser.add_argument('out_dir', help='folder for the file')
    parser.add_argument('--name', help="name without the hash (default: the checkpoint's)")
    parser.add_argument(
        '--safetensors', action='store_true', help='write .safetensors in place of .pth'
    )
    add_trust_option(parser)
    return parser.parse_args()


def classes_of(checkpoint: Any) -> dict[str, Any]:
    """Classes and palette that a checkpoint names, as plain data; other entries are left out."""
    meta = checkpoint.get('meta') if isinstance(checkpoint, dict) else None
    dataset = meta.get('dataset_meta') if isinstance(meta, dict) else None
    found: dict[str, Any] = {}
    for key, value in (dataset if isinstance(dataset, dict) else {}).items():
        if str(key).lower() == 'classes' and isinstance(value, (list, tuple)):
            found['classes'] = tuple(map(str, value))
        elif str(key).lower() == 'palette' and isinstance(value, (list, tuple, Tensor)):
            try:
                found['palette'] = [tuple(int(part) for part in colour) for colour in value]
            except (TypeError, ValueError) as error:
                raise ValueError('the palette of the checkpoint is no list of colours') from error
    return found


def main() -> None:
    """Run the command."""
    args = parse_args()
    with errors_as_messages():
        checkpoint = read_checkpoint(args.checkpoint)
        weights = find_weights(checkpoint, args.checkpoint)
        dataset = classes_of(checkpoint)
        path = write_weights(
            weights,
            args.out_dir,
            args.name or Path(args.checkpoint).stem,
            '.safetensors' if args.safetensors else '.pth',
            dataset_meta=dataset,
        )
    named = dataset.get('classes')
    print(f'classes: {", ".join(named)}' if named else 'the checkpoint names no classes')
    print(f'{len(weights)} tensors written to {path}\nSHA-256: {sha256(path)}')


if __name__ == '__main__':
    main()
