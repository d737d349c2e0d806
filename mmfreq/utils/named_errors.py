"""Errors of data sets with the files that they are about, for data sets of any library."""

import os
import traceback
from collections import Counter
from collections.abc import Iterator
from typing import Any

from mmfreq.utils.config_tree import as_list
from mmfreq.utils.errors import DataError
from mmfreq.utils.images import check_image_size

__all__ = ['NamedErrors', 'NamedPipeline', 'explain_empty', 'inner_data_sets', 'name_errors']


class NamedPipeline:
    """A data pipeline whose errors name the files of the sample.

    Args:
        pipeline (Any): The pipeline, called with what is known about a sample.
        num_classes (int, optional): Classes of the data set; handed to the pipeline with each
            sample, for :class:`mmfreq.datasets.CheckSegMap`.
    """

    def __init__(self, pipeline: Any, num_classes: int | None) -> None:
        self.pipeline = pipeline
        self.num_classes = num_classes

    @property
    def transforms(self) -> Any:
        """Transforms of the pipeline."""
        return self.pipeline.transforms

    def __call__(self, info: dict) -> Any:
        """Run the pipeline on one sample.

        Args:
            info (dict): What is known about the sample.

        Returns:
            Any: Result of the pipeline.

        Raises:
            DataError: If the sample cannot be prepared.
        """
        if not isinstance(info, dict):
            return self.pipeline(info)
        given = [path for key in ('img_path', 'seg_map_path') for path in as_list(info.get(key))]
        files = [str(path) for path in given if path]
        if self.num_classes is not None:
            info.setdefault('num_classes', self.num_classes)
        try:
            for path in filter(os.path.isfile, files):  # not those of other storage backends
                check_image_size(path)
            return self.pipeline(info)
        except Exception as error:
            reason = ' '.join(str(error).split())  # OpenCV writes several lines
            if not isinstance(error, (ValueError, OSError)):  # may be a fault of a transform
                place = traceback.extract_tb(error.__traceback__)[-1]
                reason = f'{reason or "no message"}, in {place.filename}, line {place.lineno}'
            raise DataError(
                f'the sample of {", ".join(files)} could not be prepared '
                f'({type(error).__name__}: {reason}); check that the files are complete and hold '
                'what the data set expects'
            ) from error


class NamedErrors:
    """Mixin for data sets: errors name the files that they are about."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        name_errors(self)

    def filter_data(self) -> list[dict]:
        """Leave out samples as ``filter_cfg`` says.

        Returns:
            list[dict]: The others.

        Raises:
            DataError: If none is left.
        """
        samples = super().filter_data()  # type: ignore[misc]
        if not samples:
            raise DataError(explain_empty(self))
        return samples


def inner_data_sets(dataset: Any) -> Iterator[Any]:
    """The data sets inside of wrappers that repeat, join or mix them.

    Args:
        dataset (Any): A data set, or a wrapper of one or several.

    Yields:
        Any: Each data set that wraps no other.
    """
    if hasattr(dataset, 'datasets'):
        inner = list(dataset.datasets)
    else:
        inner = [dataset.dataset] if hasattr(dataset, 'dataset') else []
    for part in inner:
        yield from inner_data_sets(part)
    if not inner:
        yield dataset


def name_errors(dataset: Any) -> None:
    """Let errors of the pipelines of a data set name the files of the sample.

    Args:
        dataset (Any): A data set or wrapper, changed in place. Those without MMEngine's
            ``pipeline`` are left alone.
    """
    for inner in inner_data_sets(dataset):
        pipeline = getattr(inner, 'pipeline', None)
        if callable(pipeline) and not isinstance(pipeline, NamedPipeline):
            classes = (getattr(inner, 'metainfo', None) or {}).get('classes')
            inner.pipeline = NamedPipeline(pipeline, None if classes is None else len(classes))


def explain_empty(dataset: Any) -> str:
    """Say why a data set may have no samples: what was looked for, and what is there.

    Args:
        dataset (Any): A data set, which may have been built with ``lazy_init``.

    Returns:
        str: A message.
    """
    ann_file = getattr(dataset, 'ann_file', '')
    prefixes = getattr(dataset, 'data_prefix', None) or {}
    folder, suffix = prefixes.get('img_path'), getattr(dataset, 'img_suffix', None)
    if ann_file or folder is None or suffix is None or not os.path.isdir(folder):
        return (
            f'no sample is left of {ann_file or list(prefixes.values())}: the files are empty, or '
            'filter_cfg drops all'
        )
    files = [name for _, _, names in os.walk(folder) for name in names]
    if any(name.endswith(suffix) for name in files):
        return f'no sample of {folder} is left: filter_cfg drops all'
    counts = Counter(os.path.splitext(name)[1] for name in files)
    there = ', '.join(f'{count} of {ending or "no ending"}' for ending, count in counts.items())
    return (
        f'no image ends in {suffix!r} in {folder}, which holds {there or "no files"}; set '
        'img_suffix and seg_map_suffix of the data set, or correct data_root or data_prefix'
    )
