"""Predictions as the page shows them: a picture, a table, and what a change has changed."""

from dataclasses import replace
from html import escape
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mmfreq.inference.results import Classification, Detection, Prediction, Segmentation

__all__ = ['change', 'fit', 'overlay', 'table']

LONGEST_SIDE = 1600  # pixels of a picture on the page
FEWEST_ROWS, MOST_ROWS = 4, 16  # of one table, of both
SAME_BOX = 0.5  # intersection over union

RGB = NDArray[np.uint8]
Row = tuple[tuple[int, ...] | None, str, str, float]  # colour, text, number, bar


def fit(image: RGB) -> RGB:
    """Make an image as small as the page needs it.

    Args:
        image (NDArray): RGB image, shape ``(H, W, 3)``.

    Returns:
        NDArray: The image with at most 1600 pixels along its longest side.
    """
    size = _fitting(image)
    return image if size is None else cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def overlay(prediction: Prediction, strength: float) -> RGB:
    """Draw a prediction over its image.

    Args:
        prediction (Prediction): The prediction.
        strength (float): Opacity of the colours of a segmentor, lowest score of the boxes of a
            detector; a classifier's image stays as it is.

    Returns:
        NDArray: RGB image with at most 1600 pixels along its longest side.
    """
    if isinstance(prediction, Segmentation):
        size = _fitting(prediction.image)
        if size is not None:  # before it is drawn: a large one would take long
            labels = prediction.label_map.astype(np.int32)
            labels = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
            prediction = replace(prediction, image=fit(prediction.image), label_map=labels)
        return prediction.overlay(strength)
    if isinstance(prediction, Detection):
        prediction = replace(prediction, threshold=strength)
    return fit(prediction.overlay())


def table(prediction: Prediction, strength: float) -> str:
    """What was found, as a table with the colours of the classes.

    Args:
        prediction (Prediction): The prediction.
        strength (float): As in :func:`overlay`.

    Returns:
        str: HTML.
    """
    if isinstance(prediction, Segmentation):
        colours = dict(zip(prediction.classes, prediction.palette, strict=True))
        rows: list[Row] = [
            (colours.get(name), name, _percent(share), share)
            for name, share in prediction.shares().items()
        ]
        return _html(('Class', 'Share of the pixels'), rows)
    if isinstance(prediction, Classification):
        order = np.argsort(-prediction.scores, kind='stable')
        best = [(int(i), float(prediction.scores[i])) for i in order[:MOST_ROWS]]
        rows = [(None, prediction.classes[i], f'{score:.3f}', score) for i, score in best]
        return _html(('Class', 'Score'), rows, len(order))
    assert isinstance(prediction, Detection)
    rows = []
    for i in replace(prediction, threshold=strength).shown():
        label, score = prediction.labels[i], float(prediction.scores[i])
        left, top, right, bottom = (round(float(value)) for value in prediction.boxes[i])
        text = f'{prediction.classes[label]}, ({left}, {top}) to ({right}, {bottom})'
        rows.append((prediction.palette[label], text, f'{score:.2f}', score))
    if not rows:
        return f'<p>No box has a score of at least {strength:g}.</p>'
    return _html(('Class and box in pixels', 'Score'), rows)


def change(before: Prediction, after: Prediction, strength: float) -> str:
    """Say how the prediction of a changed image differs.

    Args:
        before (Prediction): That of the image.
        after (Prediction): That of the changed image, of the same size.
        strength (float): As in :func:`overlay`.

    Returns:
        str: HTML, one sentence.
    """
    if isinstance(before, Segmentation) and isinstance(after, Segmentation):
        share = float((before.label_map != after.label_map).mean())
        return _sentence(f'{share:.1%}', 'of the pixels change their class')
    if isinstance(before, Detection) and isinstance(after, Detection):
        old, new = (_boxes(found, strength) for found in (before, after))
        again = sum(any(_is_same(box, other) for other in new) for box in old)
        fresh = sum(not any(_is_same(box, other) for other in old) for box in new)
        return _sentence(
            f'{again} of {len(old)}',
            f'boxes are found again (same class, overlap of at least {SAME_BOX}), {fresh} are new',
        )
    assert isinstance(before, Classification) and isinstance(after, Classification)
    old_best, new_best = before.classes[before.label], after.classes[after.label]
    score = f'{before.scores[before.label]:.3f} to {after.scores[before.label]:.3f}'
    if old_best == new_best:
        return _sentence(old_best, f'stays the best class, its score goes from {score}')
    return _sentence(new_best, f'is now the best class; the score of {old_best} goes from {score}')


def _fitting(image: RGB) -> tuple[int, int] | None:
    height, width = image.shape[:2]
    scale = LONGEST_SIDE / max(height, width)
    if scale >= 1:
        return None
    return max(round(width * scale), 1), max(round(height * scale), 1)


def _percent(share: float) -> str:
    return f'{share:.1%}' if share >= 0.0005 else '< 0.1%'


def _boxes(found: Detection, threshold: float) -> list[tuple[int, NDArray[Any]]]:
    shown = replace(found, threshold=threshold).shown()
    return [(int(found.labels[i]), found.boxes[i]) for i in shown]


def _is_same(one: tuple[int, NDArray[Any]], other: tuple[int, NDArray[Any]]) -> bool:
    if one[0] != other[0]:
        return False
    a, b = one[1], other[1]
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    inside = float(sides.clip(0).prod())
    both = float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod()) - inside
    return inside >= SAME_BOX * both


def _sentence(number: str, text: str) -> str:
    return f'<p class="change"><b>{escape(number)}</b> {escape(text)}.</p>'


def _html(headings: tuple[str, str], rows: list[Row], count: int | None = None) -> str:
    """Two tables side by side."""
    left = (count or len(rows)) - MOST_ROWS
    half = max((min(len(rows), MOST_ROWS) + 1) // 2, FEWEST_ROWS)
    halves = [rows[start : start + half] for start in (0, half)]
    tables = ''.join(_half(headings, part) for part in halves)
    more = f'<p>and {left} more</p>' if left > 0 else ''
    return f'<div class="found">{tables}</div>{more}'


def _half(headings: tuple[str, str], rows: list[Row]) -> str:
    lines = []
    for colour, text, number, bar in rows:
        box = '' if colour is None else f'<i style="background: rgb{tuple(map(int, colour))}"></i>'
        fill = f'<span class="bar"><span style="width: {100 * bar:.1f}%"></span></span>'
        cells = f'<td>{box}{escape(text)}</td><td>{fill}</td><td>{escape(number)}</td>'
        lines.append(f'<tr>{cells}</tr>')
    head = f'<tr><th>{headings[0]}</th><th colspan="2">{headings[1]}</th></tr>' if rows else ''
    return f'<table>{head}{"".join(lines)}</table>'
