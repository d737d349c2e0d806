"""Fourier analysis of feature maps over depth, and effective receptive fields, side by side."""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
from tqdm import tqdm

from mmfreq.analysis.inputs import open_backbone, preprocess, read_images
from mmfreq.analysis.spectra.fourier import amplitude_over_depth, effective_receptive_field
from mmfreq.analysis.spectra.pictures import draw_amplitudes, draw_fields
from mmfreq.engine.command_line import add_trust_option, errors_as_messages, make_parser

EXAMPLE = """\
  python tools/visualization/vis_spectrum.py gfnet-h-ti convnext-t swin-t --images a.jpg b.jpg
  python tools/visualization/vis_spectrum.py gfnet-h-ti configs/fpn_dfformer_s18_ade20k.py \\
      --checkpoints gfnet-h-ti.pth iter_40000.pth --images a.jpg"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument('models', nargs='+', metavar='MODEL', help='backbones by name, and configs')
    parser.add_argument(
        '--checkpoints',
        nargs='+',
        metavar='PATH',
        help='weights, one file per model or none for fresh ones (default: fresh)',
    )
    parser.add_argument('--images', nargs='+', required=True, metavar='FILE', help='image files')
    parser.add_argument('--size', type=int, default=224, help='of the images (default: 224)')
    parser.add_argument(
        '--out-dir', default='work_dirs/spectrum', help='default: work_dirs/spectrum'
    )
    add_trust_option(parser)
    return parser.parse_args()


def main() -> None:
    """Run the command."""
    args = parse_args()
    checkpoints = args.checkpoints or ['none'] * len(args.models)
    curves, fields = {}, {}
    with errors_as_messages():
        if len(checkpoints) != len(args.models):
            raise ValueError(
                f'--checkpoints needs {len(args.models)} files, got {len(checkpoints)}'
            )
        images = read_images(args.images, args.size)
        pairs = list(zip(args.models, checkpoints, strict=True))
        for model, checkpoint in tqdm(pairs, unit='model'):
            path = None if checkpoint == 'none' else checkpoint
            backbone = open_backbone(model, path, args.size)
            inputs = preprocess(images, backbone)
            name = f'{Path(model).stem}\n{Path(path).name if path else "fresh weights"}'
            curves[name] = amplitude_over_depth(backbone, inputs)
            fields[name] = effective_receptive_field(backbone, inputs)
    folder = Path(args.out_dir)
    folder.mkdir(parents=True, exist_ok=True)
    for file, figure in (
        ('amplitude.png', draw_amplitudes(curves)),
        ('receptive_field.png', draw_fields(fields)),
    ):
        figure.savefig(folder / file, dpi=110)
        plt.close(figure)
        print(folder / file)


if __name__ == '__main__':
    main()
