"""Convert a released checkpoint of any backbone of mmfreq, or of a whole model, to weights only.

Names and layouts become those of mmfreq, filters are resized to the size of the options, plain
ResNet weights are brought into the Fourier form. The file's name ends with the first eight digits
of its SHA-256, which torch.hub checks when it downloads the file.
"""

import argparse
from pathlib import Path
from typing import Any

from mmengine.config import DictAction

from mmfreq.engine.command_line import add_trust_option, errors_as_messages, make_parser
from mmfreq.models.pretrained import Coverage, load_available, load_pretrained
from mmfreq.registry import MODELS
from mmfreq.utils.checkpoint import find_weights, read_checkpoint, write_weights
from mmfreq.utils.config_files import is_config, read_model_config
from mmfreq.zoo import build_model

EXAMPLE = """\
  python tools/model_converters/convert_checkpoint.py mmfreq.DFFormer dfformer_s18.pth converted \\
      --options arch=s18 img_size=512
  python tools/model_converters/convert_checkpoint.py mmfreq.FDResNet torchvision://resnet50 \\
      converted --options depth=50
  python tools/model_converters/convert_checkpoint.py configs/upernet_vheat_tiny_ade20k.py \\
      vHeat_tiny_seg.pth converted"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument(
        'model', help='type of the backbone, e.g. mmfreq.DFFormer, or config of a whole model'
    )
    parser.add_argument('source', help='path or address of the checkpoint')
    parser.add_argument('out_dir', help='folder for the converted file')
    parser.add_argument(
        '--options',
        nargs='+',
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help='arguments of the backbone',
    )
    add_trust_option(parser)
    return parser.parse_args()


def convert(name: str, source: str, out_dir: str, options: dict) -> tuple[Path, Coverage]:
    """Convert a checkpoint.

    Args:
        name (str): Registered type of a backbone, or a config.
        source (str): Path or address of the checkpoint.
        out_dir (str): Folder for the result, created if it does not exist.
        options (dict): Arguments of the backbone, none with a config.

    Returns:
        tuple[Path, Coverage]: The written file, and what became of each tensor.

    Raises:
        ValueError: If the backbone is unknown, or the checkpoint does not belong to it.
    """
    if is_config(name):
        if options:
            raise ValueError(f'--options are for a backbone; change {name} itself')
        model = build_model(read_model_config(name))
        coverage = load_available(model, find_weights(read_checkpoint(source), source), source)
    else:
        model = _build_backbone(name, options)
        coverage = load_pretrained(model, source)
    path = write_weights(model.state_dict(), out_dir, Path(source).stem)
    return path, coverage


def _build_backbone(name: str, options: dict) -> Any:
    if MODELS.get(name) is None:
        raise ValueError(f'there is no backbone {name!r}; names start with mmfreq.')
    try:
        return MODELS.build(dict(type=name, **options))
    except TypeError as error:
        raise ValueError(f'{name} cannot be built with {options}: {error}') from error


def main() -> None:
    """Run the command."""
    args = parse_args()
    with errors_as_messages():
        path, coverage = convert(args.model, args.source, args.out_dir, args.options)
    for name in coverage.loaded:
        print(f'{"resized" if name in coverage.resized else "loaded":8} {name}')
    for status in ('dropped', 'missing'):
        for name in getattr(coverage, status):
            print(f'{status:8} {name}')
    counts = ', '.join(f'{len(names)} {status}' for status, names in coverage._asdict().items())
    print(f'{counts}\nwritten to {path}')
    if coverage.missing and is_config(args.model):
        print('what is missing has its initial value: train the model before it is used')


if __name__ == '__main__':
    main()
