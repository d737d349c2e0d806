"""Draw the pictures of docs/images that show trained networks and their data.

The networks are those of `mmfreq compare configs/comparisons/camvid_fpn.yml`, the first seed of
each, and that of `make demo`; images are rendered scenes and three CC0 photos of scikit-image.
`make pictures` trains first what is not trained.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from skimage import data
from torch import nn
from tqdm import tqdm

from mmfreq.analysis.inputs import open_backbone, preprocess
from mmfreq.analysis.spectra import pictures
from mmfreq.analysis.spectra.filters import gains_for, masks_for, stored_decays, stored_filters
from mmfreq.analysis.spectra.fourier import amplitude_over_depth, effective_receptive_field
from mmfreq.comparison.recipe import read_recipe
from mmfreq.comparison.runs import Run, runs_of
from mmfreq.engine.command_line import errors_as_messages, make_parser
from mmfreq.inference.drawing import blend
from mmfreq.inference.model import init_model
from mmfreq.inference.predict import predict

EXAMPLE = '  python tools/docs/draw_pictures.py work_dirs/camvid_fpn work_dirs/demo'
RECIPE = 'configs/comparisons/camvid_fpn.yml'
BROWSED = 'configs/retinanet_gfnet_h_ti_coco.py'
PHOTOS = ('coffee', 'chelsea', 'rocket')
TRAINED_AT, LARGER = 128, 288  # pixels
BESIDE = ('GFNet', 'DFFormer', 'AFFNet-T', 'ConvNeXt-atto', 'ResNet-18')


def photos(side: int) -> list[np.ndarray]:
    """The photos as squares."""
    images = []
    for name in PHOTOS:
        image = Image.fromarray(getattr(data, name)())
        height = min(image.size)
        left, top = ((length - height) // 2 for length in image.size)
        square = image.crop((left, top, left + height, top + height))
        images.append(np.asarray(square.resize((side, side), Image.Resampling.LANCZOS)))
    return images


def run_of(folder: Path, name: str) -> Run:
    """First run of a network of the comparison."""
    recipe = read_recipe(RECIPE)
    return next(run for run in runs_of(recipe, folder) if run.name == name)


def trained(folder: Path, name: str, size: int = TRAINED_AT) -> nn.Module:
    """Backbone of a network of the comparison, its filters resized to another image size."""
    run = run_of(folder, name)
    return open_backbone(run.read_config(), str(run.checkpoint), size)


def draw(folder: Path) -> Iterator[tuple[str, Figure]]:
    """All pictures, with the names of their files."""
    for name, stage, size in (
        ('filters_early', 'stages.0', TRAINED_AT),
        ('filters_late', 'stages.2', TRAINED_AT),
        ('filters_resized', 'stages.0', LARGER),
    ):
        layers = stored_filters(trained(folder, 'GFNet', size))
        shown = [layer for layer in layers if layer[0].name.startswith(stage)][:2]
        title = f'GFNet, trained at {TRAINED_AT} pixels: {stage}'
        if size != TRAINED_AT:
            title += f', resized for {size} pixels'
        yield f'{name}.png', pictures.draw_filters(title, shown, 1, 'channel')

    decays = stored_decays(trained(folder, 'vHeat'))
    ends = [layer for layer in decays if layer.name.split('.')[3] == '0']
    yield 'decays.png', pictures.draw_decays('vHeat: what passes the first block of a stage', ends)

    images = photos(TRAINED_AT)
    for name, file in (('DFFormer', 'coefficients.png'), ('DSM', 'bands.png')):
        network = trained(folder, name)
        (gains,) = gains_for(network, preprocess(images, network))
        yield file, pictures.draw_gains(name, images, gains)

    network = trained(folder, 'AFFNet-T')
    masks = masks_for(network, preprocess(images, network))
    yield 'masks.jpg', pictures.draw_masks('AFFNet: masks for images', images, masks[:4])

    curves, fields = {}, {}
    for name in BESIDE:
        network = trained(folder, name)
        inputs = preprocess(images, network)
        curves[name] = amplitude_over_depth(network, inputs)
        fields[name] = effective_receptive_field(network, inputs)
    yield 'amplitude.png', pictures.draw_amplitudes(curves)
    yield 'receptive_field.jpg', pictures.draw_fields(fields)


def front(demo: Path, comparison: Path) -> Figure:
    """The picture of the README: a scene of the demo, its prediction, and where filters look."""
    data_root = demo / 'data/ADEChallengeData2016'
    path = sorted((data_root / 'images/validation').iterdir())[0]
    labels = np.asarray(Image.open(data_root / 'annotations/validation' / f'{path.stem}.png'))
    model = init_model('mmfreq::mini/upernet_gfnet_h_s.py', str(demo / 'demo.pth'))
    (found,) = predict(model, [str(path)])
    maps = [
        blend(found.image, labels.astype(np.int64) - 1, found.palette, 0.7),  # 0 is no class
        blend(found.image, found.label_map, found.palette, 0.7),
    ]
    figure, axes = plt.subplots(1, 5, figsize=(15, 2.9), layout='constrained')
    titles = ('image', 'truth', 'prediction')
    for ax, title, shown in zip(axes, titles, (found.image, *maps), strict=False):
        ax.imshow(shown)
        ax.set_title(title)
        ax.set_axis_off()
    spectrum, kernels = stored_filters(trained(comparison, 'GFNet'))[0]
    pictures.show_layer(axes[3], axes[4], spectrum, kernels)
    axes[3].set_title(f'what {len(kernels)} filters let pass')
    axes[4].set_title('where they look')
    return figure


def run_tools(comparison: Path, demo: Path, out_dir: Path) -> None:
    """Pictures that other tools draw."""
    runs = [run_of(comparison, name) for name in BESIDE]
    camvid = ('--data-root', *runs[0].roots)
    rendered = ('--data-root', demo / 'data/coco')
    with TemporaryDirectory() as folder:
        for tool, *arguments in (
            (
                'analyze_logs',
                *(run.folder / 'train' for run in runs),
                *('--keys', 'loss', 'mIoU', 'lr', '--out', out_dir / 'curves.png'),
            ),
            (
                *('confusion_matrix', runs[0].config_file, runs[0].checkpoint, *camvid),
                *('--out', out_dir / 'confusion.png'),
            ),
            ('browse_dataset', BROWSED, *rendered, '--number', 2, '--out-dir', folder),
        ):
            command = [sys.executable, f'tools/visualization/{tool}.py', *map(str, arguments)]
            subprocess.run(command, check=True)
        images = [Image.open(path) for path in sorted(Path(folder).rglob('*.*'))]
        beside = np.concatenate([np.asarray(image.convert('RGB')) for image in images], axis=1)
        Image.fromarray(beside).save(out_dir / 'browse.jpg')
    for name in ('curves', 'scores', 'conditions'):
        shutil.copy(comparison / f'{name}.png', out_dir / f'camvid_{name}.png')


def main() -> None:
    """Run the command."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument('comparison', type=Path, help='folder of the comparison')
    parser.add_argument('demo', type=Path, help='folder of the demo')
    parser.add_argument('--out-dir', type=Path, default=Path('docs/images'))
    args = parser.parse_args()
    args.out_dir.mkdir(parents=True, exist_ok=True)
    with errors_as_messages():
        figures = chain(draw(args.comparison), [('demo.jpg', front(args.demo, args.comparison))])
        for file, figure in tqdm(figures, unit='picture'):
            figure.savefig(args.out_dir / file, dpi=90)
            plt.close(figure)
        run_tools(args.comparison, args.demo, args.out_dir)


if __name__ == '__main__':
    main()
