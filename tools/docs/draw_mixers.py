"""Draw the block diagrams of the token mixers for the pages of the families.

    python tools/docs/draw_mixers.py docs/images/mixers

A diagram is a list of boxes on a grid and of arrows between them. Colours can be read on light and
dark pages; letters are paths, so that they look the same everywhere.
"""

import sys
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

INK, LINES = '#1d2733', '#7d8590'
# What is learned and stored, what is a transform, what depends on the image, and the rest.
FILLS = dict(learned='#b7e0c0', transform='#ffd59a', image='#f4b9c1', plain='#cfe0f3')
COLUMN, ROW, WIDTH, HEIGHT = 2.75, 0.95, 2.3, 0.56  # inches


class Box(NamedTuple):
    """A step: its text, column and row, kind of ``FILLS``, and width in boxes."""

    text: str
    column: float
    row: float
    kind: str = 'plain'
    scale: float = 1.0


Arrow = tuple[str, str] | tuple[str, str, str]  # from, to, shape of what goes along

DIAGRAMS: dict[str, tuple[dict[str, Box], list[Arrow]]] = dict(
    gfnet=(
        dict(
            x=Box('features x', 0, 0),
            fft=Box('real FFT over H and W', 0, 1, 'transform'),
            times=Box('×  (each channel by itself)', 0, 2),
            k=Box('filters K, resized to\n(C, H, W/2 + 1)', 1, 2, 'learned'),
            ifft=Box('inverse real FFT', 0, 3, 'transform'),
            y=Box('features y', 0, 4),
        ),
        [
            ('x', 'fft', '(B, C, H, W)'),
            ('fft', 'times', '(B, C, H, W/2 + 1), complex'),
            ('k', 'times'),
            ('times', 'ifft', '(B, C, H, W/2 + 1)'),
            ('ifft', 'y', '(B, C, H, W)'),
        ],
    ),
    dfformer=(
        dict(
            x=Box('features x', 0, 0),
            mean=Box('mean over H and W', 1, 0, 'image'),
            lin=Box('linear C → 2C, StarReLU', 0, 1),
            mlp=Box('MLP C → C/4 → N · 2C,\nsoftmax over N', 1, 1, 'image'),
            fft=Box('real FFT over H and W', 0, 2, 'transform'),
            sum=Box('sum of shares\ntimes basis filters', 1, 3, 'image'),
            times=Box('×', 0, 3),
            k=Box('N = 4 basis filters,\nshared by all channels', 1, 4, 'learned'),
            ifft=Box('inverse real FFT', 0, 4, 'transform'),
            out=Box('linear 2C → C', 0, 5),
            y=Box('features y', 0, 6),
        ),
        [
            ('x', 'lin', '(B, C, H, W)'),
            ('x', 'mean'),
            ('mean', 'mlp', '(B, C)'),
            ('mlp', 'sum', '(B, N, 2C)'),
            ('lin', 'fft', '(B, 2C, H, W)'),
            ('fft', 'times', '(B, 2C, H, W/2 + 1)'),
            ('k', 'sum', '(N, H, W/2 + 1)'),
            ('sum', 'times'),
            ('times', 'ifft', '(B, 2C, H, W/2 + 1)'),
            ('ifft', 'out', '(B, 2C, H, W)'),
            ('out', 'y', '(B, C, H, W)'),
        ],
    ),
    hornet=(
        dict(
            x=Box('features x', 0, 0),
            lin=Box('linear C → 2C: p and q', 0, 1),
            norm=Box('q: layer norm, halves', 1.05, 1),
            local=Box('depthwise 3 × 3', 0.72, 2, 'plain', 0.62),
            glob=Box('FFT · K · inverse\nFFT', 1.38, 2, 'learned', 0.62),
            mix=Box('alternate, layer norm,\n× 1/3, split', 1.05, 3),
            gate=Box('p = p · q', 0, 3, 'plain', 0.62),
            more=Box('p = linear(p) · q\nn - 1 times, wider each time', 0, 4),
            out=Box('linear C → C', 0, 5),
            y=Box('features y', 0, 6),
        ),
        [
            ('x', 'lin', '(B, C, H, W)'),
            ('lin', 'norm'),
            ('norm', 'local'),
            ('norm', 'glob'),
            ('local', 'mix'),
            ('glob', 'mix'),
            ('lin', 'gate', 'p: C/2$^{n-1}$\nchannels'),
            ('mix', 'gate', 'first q'),
            ('mix', 'more', 'other q: C/2$^{n-2}$ ... C channels'),
            ('gate', 'more'),
            ('more', 'out', '(B, C, H, W)'),
            ('out', 'y', '(B, C, H, W)'),
        ],
    ),
    vheat=(
        dict(
            x=Box('features x', 0, 0),
            conv=Box('depthwise 3 × 3,\nlinear C → 2C: a and z', 0, 1),
            dct=Box('cosine transform', 0, 2, 'transform'),
            e=Box('embedding of frequencies,\none for the stage', 1, 1.15, 'learned'),
            k=Box('k = ReLU(linear)', 1, 2.1, 'learned'),
            times=Box('×', 0, 3),
            decay=Box('exp(-(ω$_n$² + ω$_m$²) k)', 1, 3, 'learned'),
            idct=Box('inverse cosine transform', 0, 4, 'transform'),
            gate=Box('layer norm,  × SiLU(z)', 0, 5),
            out=Box('linear C → C', 0, 6),
            y=Box('features y', 0, 7),
        ),
        [
            ('x', 'conv', '(B, C, H, W)'),
            ('conv', 'dct', 'a: (B, C, H, W)'),
            ('e', 'k', '(H, W, C)'),
            ('k', 'decay', '(H, W, C)'),
            ('dct', 'times', '(B, C, H, W)'),
            ('decay', 'times'),
            ('times', 'idct', '(B, C, H, W)'),
            ('idct', 'gate', '(B, C, H, W)'),
            ('gate', 'out', '(B, C, H, W)'),
            ('out', 'y', '(B, C, H, W)'),
        ],
    ),
    affnet=(
        dict(
            x=Box('features x', 0, 0),
            fft=Box('real FFT over H and W', 0, 1, 'transform'),
            lin1=Box('complex linear, 8 blocks,\nSiLU on both parts', 1, 1, 'image'),
            lin2=Box('complex linear, 8 blocks,\nsoft threshold 0.01', 1, 2, 'image'),
            times=Box('×', 0, 2),
            ifft=Box('inverse real FFT', 0, 3, 'transform'),
            plus=Box('+ x', 0, 4),
            y=Box('features y', 0, 5),
        ),
        [
            ('x', 'fft', '(B, C, H, W)'),
            ('fft', 'lin1'),
            ('lin1', 'lin2', 'per frequency'),
            ('lin2', 'times'),
            ('fft', 'times', '(B, C, H, W/2 + 1), complex'),
            ('times', 'ifft', '(B, C, H, W/2 + 1)'),
            ('ifft', 'plus', '(B, C, H, W)'),
            ('plus', 'y', '(B, C, H, W)'),
        ],
    ),
    fdconv=(
        dict(
            x=Box('features x', 0, 0),
            mean=Box('mean over H and W', 1, 0, 'image'),
            att=Box('attentions: groups, channels,\nfilters, positions, all', 1, 1, 'image'),
            sum=Box('spectrum of the weights:\nsum of groups × attention', 1, 2, 'learned'),
            ifft=Box('inverse FFT,\n× the other attentions', 1, 3, 'transform'),
            bands=Box('frequency bands × maps\n(3 × 3 kernels only)', 0, 1, 'image'),
            conv=Box('convolution, a kernel\n(O, I, k, k) for each image', 0, 3),
            y=Box('features y', 0, 4),
        ),
        [
            ('x', 'mean'),
            ('mean', 'att', '(B, I)'),
            ('x', 'bands', '(B, I, H, W)'),
            ('bands', 'conv', '(B, I, H, W)'),
            ('att', 'sum', '(B, N)'),
            ('sum', 'ifft', '(B, k O, k I/2 + 1)'),
            ('ifft', 'conv'),
            ('conv', 'y', "(B, O, H', W')"),
        ],
    ),
    dsm=(
        dict(
            x=Box('features x', 0, 0),
            mean=Box('mean over H and W', 1, 0, 'image'),
            lin=Box('linear C → 2C, StarReLU', 0, 1),
            mlp=Box('MLP C → C/8 → 8 · 2C,\n2 · sigmoid', 1, 1, 'image'),
            dct=Box('cosine transform', 0, 2, 'transform'),
            sum=Box('sum of gains\ntimes profiles', 1, 3, 'image'),
            times=Box('×', 0, 3),
            bands=Box('profiles of 8 bands of\nfrequencies', 1, 4, 'learned'),
            idct=Box('inverse cosine transform', 0, 4, 'transform'),
            out=Box('linear 2C → C', 0, 5),
            y=Box('features y', 0, 6),
        ),
        [
            ('x', 'lin', '(B, C, H, W)'),
            ('x', 'mean'),
            ('mean', 'mlp', '(B, C)'),
            ('mlp', 'sum', 'gains: (B, 8, 2C)'),
            ('lin', 'dct', '(B, 2C, H, W)'),
            ('dct', 'times', '(B, 2C, H, W)'),
            ('bands', 'sum', '(8, H, W)'),
            ('sum', 'times'),
            ('times', 'idct', '(B, 2C, H, W)'),
            ('idct', 'out', '(B, 2C, H, W)'),
            ('out', 'y', '(B, C, H, W)'),
        ],
    ),
)


def draw(name: str, path: Path) -> None:
    """Draw one of ``DIAGRAMS`` into a file, whose ending says of which kind."""
    boxes, arrows = DIAGRAMS[name]
    left = min(_centre(box)[0] - box.scale * WIDTH / 2 for box in boxes.values())
    right = max(_centre(box)[0] + box.scale * WIDTH / 2 for box in boxes.values())
    depth = max(box.row for box in boxes.values()) * ROW + HEIGHT
    figure = plt.figure(figsize=(right - left + 0.1, depth + 0.1))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(left - 0.05, right + 0.05), ylim=(-depth + HEIGHT / 2 - 0.05, HEIGHT / 2 + 0.05))
    axes.axis('off')
    for arrow in arrows:
        _draw_arrow(axes, boxes[arrow[0]], boxes[arrow[1]], *arrow[2:])
    for box in boxes.values():
        _draw_box(axes, box)
    figure.savefig(
        path,
        transparent=True,
        metadata={'Date': None, 'Creator': None} if path.suffix == '.svg' else {},
    )
    plt.close(figure)


def _centre(box: Box) -> tuple[float, float]:
    return box.column * COLUMN, -box.row * ROW


def _draw_box(axes: Axes, box: Box) -> None:
    (x, y), width = _centre(box), box.scale * WIDTH
    style = 'round,pad=0,rounding_size=0.08'
    corner = (x - width / 2, y - HEIGHT / 2)
    fill = FILLS[box.kind]
    axes.add_patch(FancyBboxPatch(corner, width, HEIGHT, style, facecolor=fill, edgecolor=LINES))
    axes.text(x, y, box.text, ha='center', va='center', fontsize=10.5, color=INK)


def _draw_arrow(axes: Axes, start: Box, end: Box, shape: str = '') -> None:
    """Straight down or across; else down from the first box, then across."""
    (x0, y0), (x1, y1) = _centre(start), _centre(end)
    side, down = (1 if x1 > x0 else -1), (1 if y0 > y1 else -1)
    half = start.scale * WIDTH / 2
    label, align = (x0 + 0.08, (y0 + y1) / 2), 'left'
    if start.column == end.column:
        points = [(x0, y0 - down * HEIGHT / 2), (x1, y1 + down * HEIGHT / 2)]
    elif start.row == end.row:
        points = [(x0 + side * half, y0), (x1 - side * end.scale * WIDTH / 2, y0)]
        label, align = ((points[0][0] + points[1][0]) / 2, y0 + 0.1), 'center'
    elif abs(x0 - x1) < COLUMN / 2:  # branches of one box
        x = x0 if half < end.scale * WIDTH / 2 else x1
        points = [(x, y0 - down * HEIGHT / 2), (x, y1 + down * HEIGHT / 2)]
    else:
        x = x0 - side * 0.3
        points = [(x, y0 - down * HEIGHT / 2), (x, y1), (x1 - side * end.scale * WIDTH / 2, y1)]
        label, align = ((x + points[2][0]) / 2, y1 - 0.14), 'center'
    for a, b in pairwise(points[:-1]):
        axes.plot((a[0], b[0]), (a[1], b[1]), color=LINES, lw=1.4, solid_capstyle='round')
    style = dict(arrowstyle='-|>', color=LINES, lw=1.4, shrinkA=0, shrinkB=0)
    axes.annotate('', points[-1], points[-2], arrowprops=style)
    axes.text(*label, shape, ha=align, va='center', fontsize=9, color=LINES)


def main() -> None:
    """Run the command."""
    if len(sys.argv) != 2:
        sys.exit(f'usage: python {sys.argv[0]} FOLDER')
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    plt.rcParams.update({'svg.hashsalt': 'mmfreq', 'font.family': 'DejaVu Sans'})
    for name in DIAGRAMS:
        draw(name, folder / f'{name}.svg')


if __name__ == '__main__':
    main()
