"""Inspection of images and masks."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tqdm import tqdm

from mmfreq.inference.model import class_colours
from mmfreq.inspection.images import Facts, look_at, videos_in
from mmfreq.inspection.masks import IGNORED, MaskValues, describe_values, read_mask, write_mask
from mmfreq.inspection.pairs import EVERYTHING, Pairs, find_pairs, find_split_folders
from mmfreq.inspection.plan import held_out
from mmfreq.inspection.report import Report, describe_sizes, percent, several

__all__ = ['SegmentationData', 'inspect_segmentation']

NAME_FILES = ('classes.txt', 'labels.txt', 'names.txt', 'codes.txt')
LOSSY = ('.jpg', '.jpeg', '.webp')
LONGEST_NAMES = 100_000  # bytes of a file with names of classes


@dataclass
class SegmentationData:
    """What a training on images and masks needs.

    Attributes:
        root (Path): Folder that was inspected.
        splits (dict[str, Pairs]): Images and masks that can be used, of ``'train'``, ``'val'`` and
            maybe ``'test'``.
        listed (set[str]): Splits that are not all images of their folder.
        image_ending (str): Of all images.
        mask_ending (str): Of all masks.
        classes (tuple[str, ...]): Names of the classes.
        palette (list): A colour for each.
        zero_is_no_class (bool): Whether classes count from 1 in the masks.
        sizes (list[tuple[int, int]]): Width and height of the training images.
    """

    root: Path
    splits: dict[str, Pairs]
    listed: set[str]
    image_ending: str
    mask_ending: str
    classes: tuple[str, ...] = ()
    palette: list[tuple[int, ...]] = field(default_factory=list)
    zero_is_no_class: bool = False
    sizes: list[tuple[int, int]] = field(default_factory=list)


def inspect_segmentation(
    folder: Path, masks: Path | None, new_masks: Path | None
) -> tuple[SegmentationData, Report]:
    """Look at all images and masks of a data set.

    Args:
        folder (Path): Its folder, or that of the images if ``masks`` is given.
        masks (Path, optional): Folder of the masks.
        new_masks (Path, optional): Where masks of class ids are written if the data set has other
            ones; the result then names these.

    Returns:
        tuple[SegmentationData, Report]: What a training needs, and what was found.

    Raises:
        FileNotFoundError: If a folder is missing, or holds no images or no masks that fit.
    """
    found, image_ending, mask_ending = find_pairs(find_split_folders(folder, masks))
    report = Report()
    data = SegmentationData(folder, found, set(), image_ending, mask_ending)
    _report_names(data, report)
    values, sizes = _look_at_pairs(data, report)
    if not values.pixels:
        report.obstacles.append('not a single pair of image and mask can be read')
        return data, report
    _report_values(values, sum(len(pairs.names) for pairs in found.values()), mask_ending, report)
    if values.kind != 'ids':
        _write_anew(data, values, new_masks, report)
    elif new_masks is not None:
        report.notes.append(f'the masks hold class ids already, nothing is written to {new_masks}')
    _name_classes(data, values, new_masks is not None, report)
    _split(data, report)
    data.sizes = [sizes[_key(data.splits['train'], name)] for name in data.splits['train'].names]
    return data, report


def _report_names(data: SegmentationData, report: Report) -> None:
    """Facts and problems that names of files show."""
    for split, pairs in data.splits.items():
        where = '' if split == EVERYTHING else f' of {split}'
        report.facts.append((f'pairs{where}', f'{len(pairs.names)} in {pairs.images}'))
        for names, what in (
            (pairs.without_mask, f'images{where} without a mask NAME{data.mask_ending}'),
            (pairs.without_image, f'masks{where} without an image NAME{data.image_ending}'),
            (pairs.other_endings, f'images{where} end otherwise than in {data.image_ending}'),
            (videos_in(pairs.images), f'videos{where}, of which images must be made (ffmpeg)'),
        ):
            report.add_problem(names, what)
        if pairs.without_mask or pairs.other_endings:
            data.listed.add(split)
    report.facts.append(('endings', f'images {data.image_ending}, masks {data.mask_ending}'))


def _look_at_pairs(
    data: SegmentationData, report: Report
) -> tuple[MaskValues, dict[str, tuple[int, int]]]:
    """Read all files, take out pairs that cannot be used, and count values."""
    values = MaskValues()
    sizes: dict[str, tuple[int, int]] = {}
    broken: list[str] = []
    turned: list[str] = []
    unequal: list[str] = []
    total = sum(len(pairs.names) for pairs in data.splits.values())
    with tqdm(total=total, unit='image', disable=total < 2) as progress:
        for split, pairs in data.splits.items():
            kept = []
            for name in pairs.names:
                progress.update()
                image = pairs.images / (name + data.image_ending)
                mask = pairs.masks / (name + data.mask_ending)
                try:
                    facts, labels = look_at(image), look_at(mask)
                    array, mode, palette = read_mask(mask)
                except (ValueError, OSError) as error:
                    broken.append(str(error))
                    continue
                if _is_turned_away(facts, labels):
                    turned.append(str(image))
                elif facts.shown != labels.stored:
                    unequal.append(f'{image} ({_by(facts.shown)}, mask {_by(labels.stored)})')
                else:
                    kept.append(name)
                    sizes[_key(pairs, name)] = facts.shown
                    values.add(str(mask), array, mode)
                    values.palette = values.palette or palette
            if len(kept) < len(pairs.names):
                data.listed.add(split)
                pairs.names = kept
    if sizes:
        report.facts.append(('sizes', describe_sizes(list(sizes.values()))))
    if broken:
        report.problems.append(several(len(broken), 'files that cannot be read', broken))
    if turned:
        report.problems.append(
            several(len(turned), 'images that EXIF data turn away from their masks', turned)
            + '; masks follow the stored orientation: take the mark out of the images (exiftool '
            '-Orientation= -overwrite_original FILE), or draw the masks on the turned image'
        )
    if unequal:
        report.problems.append(several(len(unequal), 'masks of another size', unequal))
    return values, sizes


def _is_turned_away(image: Facts, mask: Facts) -> bool:
    """Whether a training turns an image, but not its mask; half turns do not change the size."""
    return image.turned and (image.shown == image.stored or image.shown != mask.stored)


def _report_values(values: MaskValues, count: int, ending: str, report: Report) -> None:
    lines = list(describe_values(values))
    more = f', ... ({len(lines)} values)' if len(lines) > 40 else ''
    report.facts.append(('values in masks', ', '.join(lines[:40]) + more))
    if ending.lower().endswith(LOSSY):
        report.obstacles.append(
            f'masks end in {ending}: this compression changes values, above all at the borders of '
            'objects; export the masks as PNG'
        )
    if values.coloured and len(values.coloured) < count:
        report.obstacles.append(
            several(
                len(values.coloured), 'masks have several channels, others one', values.coloured
            )
        )


def _write_anew(
    data: SegmentationData, values: MaskValues, new_masks: Path | None, report: Report
) -> None:
    """Write masks of class ids, or say that this has to be done."""
    said = {
        'colours': f'masks are colours ({len(values.pixels)} of them), mmseg reads class ids',
        'wide': 'masks have 16 bits and values above 255, which mmseg reads modulo 256: '
        + several(len(values.wide), 'files', values.wide),
        '0 and 255': 'masks hold 0 and 255, and for mmseg 255 means "does not count", so that only '
        'one class is left',
    }[values.kind]
    ids = values.new_ids()
    if len(set(ids.values())) > IGNORED:
        report.obstacles.append(
            f'{said}; more than {IGNORED} of them are too many for classes: are these masks, and '
            'not photographs or instances?'
        )
        return
    if report.obstacles:
        return
    if new_masks is None:
        report.obstacles.append(f'{said}. Let masks be written that it reads: --write-masks DIR')
        return
    count = 0
    for split, pairs in data.splits.items():
        folder = new_masks if split == EVERYTHING else new_masks / split
        for name in pairs.names:
            array, _, _ = read_mask(pairs.masks / (name + data.mask_ending))
            write_mask(folder / f'{name}.png', array, ids)
            count += 1
        pairs.masks = folder
    data.mask_ending = '.png'
    report.facts.append(('masks written', f'{count} to {new_masks}, numbered in the order above'))


def _name_classes(
    data: SegmentationData, values: MaskValues, written: bool, report: Report
) -> None:
    """Names and colours of the classes, and whether 0 is one of them."""
    ids = values.new_ids() if values.kind != 'ids' else {value: value for value in values.pixels}
    used = sorted(set(ids.values()) - ({IGNORED} if values.kind != '0 and 255' else set()))
    if not used or (values.kind != 'ids' and not written):
        return
    count = used[-1] + 1
    path = next((data.root / name for name in NAME_FILES if (data.root / name).is_file()), None)
    names = _read_names(path)
    if names and len(names) == count - 1 and 0 in used:
        data.zero_is_no_class = True
        report.facts.append(('0 in masks', f'no class: {path} has {len(names)} names'))
        count -= 1
    elif 0 in used and values.kind == 'ids' and not names:
        share = percent(values.pixels[0], sum(values.pixels.values()))
        report.notes.append(
            f'0 is taken as the first class ({share} of the pixels). If it means "no class", set '
            'reduce_zero_label=True in the config and take its name and colour out'
        )
    if not names and count > 2 * len(used):
        report.obstacles.append(
            f'the masks have {len(used)} values, up to {used[-1]}: number the classes from 0 '
            f'without gaps, or write the names of all {count} into {data.root / NAME_FILES[0]}'
        )
    if names and len(names) != count:
        report.problems.append(
            f'{path} has {len(names)} names, the masks {count} classes; the names are not used'
        )
        names = []
    if not names:
        names = ['background', 'object'] if values.kind == '0 and 255' else []
        names = names or [f'class_{i}' for i in range(count)]
        report.notes.append(
            f'the classes have no names: write them into {data.root / NAME_FILES[0]}, one a line, '
            'or into the config'
        )
    if count < 2:
        report.obstacles.append('the masks have a single class, and there is nothing to learn')
    absent = [i for i in range(used[-1] + 1) if i not in used]
    if absent:
        shown = ', '.join(map(str, absent[:10])) + (', ...' if len(absent) > 10 else '')
        report.notes.append(f'class ids that never occur: {shown}')
    colours = values.palette
    if values.kind == 'colours':
        colours = {ids[v]: (v >> 16, v >> 8 & 255, v & 255) for v in values.pixels}
    first = int(data.zero_is_no_class)
    palette = [colours.get(i, ()) for i in range(first, first + count)]
    if len(set(palette)) < count or all(len(set(colour)) == 1 for colour in palette):
        palette = class_colours(None, count)
    data.classes, data.palette = tuple(names), palette
    report.facts.append(('classes', f'{count}: {", ".join(names)}'))


def _read_names(path: Path | None) -> list[str]:
    if path is None or path.stat().st_size > LONGEST_NAMES:
        return []
    lines = path.read_text(encoding='utf-8', errors='replace').splitlines()
    return [line.strip() for line in lines if line.strip()]


def _split(data: SegmentationData, report: Report) -> None:
    """See to it that there are images for training and others for validation."""
    splits = data.splits
    if EVERYTHING in splits:
        splits['train'] = splits.pop(EVERYTHING)
        data.listed = {'train'} if EVERYTHING in data.listed else set()
    if 'train' not in splits:
        splits['train'] = splits.pop('val' if 'val' in splits else 'test')
        report.problems.append('there is no folder train/, the images of another split are used')
    if 'val' not in splits and 'test' in splits:
        splits['val'] = splits['test']
        data.listed |= {'val'} if 'test' in data.listed else set()
        report.facts.append(('split', 'as the folders say; test/ is the validation'))
    elif 'val' in splits:
        report.facts.append(('split', 'as the folders say'))
    else:
        train, val = held_out(splits['train'].names)
        splits['val'] = replace(splits['train'], names=val)
        splits['train'] = replace(splits['train'], names=train)
        data.listed |= {'train', 'val'}
        report.facts.append(
            ('split', f'proposed: {len(train)} for training, every fifth for validation')
        )
        report.notes.append(
            'the split is by name; images of one place, patient or video must not be on both '
            'sides: make folders train/ and val/, or edit the lists beside the config'
        )
    for split in ('train', 'val'):
        if not splits[split].names:
            report.obstacles.append(f'there is no image left for {split}')


def _key(pairs: Pairs, name: str) -> str:
    return f'{pairs.images}/{name}'


def _by(size: Sequence[int]) -> str:
    return f'{size[0]}x{size[1]}'
