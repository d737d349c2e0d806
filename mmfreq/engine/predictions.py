"""Pictures and files of predictions: ``--show-dir`` and ``--out``, for configs of any library."""

from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmfreq.utils.config_tree import as_list, dicts_in, package_of, type_name
from mmfreq.utils.errors import DataError
from mmfreq.utils.named_errors import inner_data_sets

__all__ = [
    'Library',
    'UniqueNamesHook',
    'library_of',
    'save_predictions',
    'show_nothing',
    'show_predictions',
]


class Library(NamedTuple):
    """What draws and saves the predictions of a library's models.

    Attributes:
        visualizer (str): Type of the visualizer.
        hook (str): Type of the hook that draws.
        switch (str): Argument of the hook that switches it on.
        dump (str): Type of the metric that saves predictions; ``''`` if another way is used.
    """

    visualizer: str
    hook: str
    switch: str
    dump: str


LIBRARIES = {
    'mmseg': Library('SegLocalVisualizer', 'SegVisualizationHook', 'draw', ''),
    'mmdet': Library('DetLocalVisualizer', 'DetVisualizationHook', 'draw', 'mmdet.DumpDetResults'),
    'mmpretrain': Library(
        'UniversalVisualizer', 'VisualizationHook', 'enable', 'mmengine.DumpResults'
    ),
}


def library_of(cfg: Config, option: str) -> str:
    """The library whose models a config is about.

    Args:
        cfg (Config): Config of a run.
        option (str): Option that needs to know, for the message.

    Returns:
        str: ``'mmseg'``, ``'mmdet'`` or ``'mmpretrain'``.

    Raises:
        ValueError: If neither ``default_scope`` nor the type of the model says so.
    """
    for name in (cfg.get('default_scope'), package_of(cfg.model)):
        if name in LIBRARIES:
            return str(name)
    raise ValueError(
        f'{option} is for models of {", ".join(LIBRARIES)}; set default_scope to one of them, it '
        f'is {cfg.get("default_scope")!r}'
    )


def show_predictions(cfg: Config, folder: str) -> None:
    """Draw the prediction for every test image beside its ground truth.

    Args:
        cfg (Config): Config, changed in place: the hook that draws is switched on, or added.
        folder (str): Folder for the pictures.

    Raises:
        ValueError: If there is no known way to draw for this kind of model.
    """
    name = library_of(cfg, '--show-dir')
    library, out_dir = LIBRARIES[name], str(Path(folder).resolve())
    hooks = _drawing_hooks(cfg, library)
    if not hooks:
        hooks = [dict(type=f'{name}.{library.hook}')]
        cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), *hooks]
        hooks = cfg.custom_hooks[-1:]
    if type_name(cfg.get('visualizer')) in ('', 'Visualizer'):  # MMEngine's draws no predictions
        given = cfg.get('visualizer') or {}
        cfg.visualizer = {**given, 'type': f'{name}.{library.visualizer}'}
    for hook in hooks:
        hook[library.switch] = True
        if name == 'mmdet':
            hook['test_out_dir'] = out_dir
        elif name == 'mmpretrain':
            hook.update(out_dir=out_dir, interval=1)
        else:  # mmseg's hook leaves files to the visualizer's backends
            backends = [
                backend
                for backend in as_list(cfg.visualizer.get('vis_backends'))
                if type_name(backend) != 'LocalVisBackend'
            ]
            local = dict(type='mmengine.LocalVisBackend', save_dir=out_dir)
            cfg.visualizer.vis_backends = [*backends, local]
    Path(out_dir).mkdir(parents=True, exist_ok=True)


def show_nothing(cfg: Config) -> None:
    """Switch the hooks that draw off: in a test they draw every image, into the folder of the run.

    Args:
        cfg (Config): Config, changed in place.
    """
    for library in LIBRARIES.values():
        for hook in _drawing_hooks(cfg, library):
            if hook.get(library.switch):
                print_log('pictures of a test are drawn with --show-dir alone', 'current')
            hook[library.switch] = False


def _drawing_hooks(cfg: Config, library: Library) -> list[dict]:
    places = (cfg.get('default_hooks') or {}, cfg.get('custom_hooks') or [])
    return [
        node for place in places for _, node in dicts_in(place) if type_name(node) == library.hook
    ]


class UniqueNamesHook(Hook):
    """Stops a test whose pictures or label maps, named after images, would overwrite one another.

    Args:
        option (str): Option that writes them, for the message.
    """

    def __init__(self, option: str) -> None:
        self.option = option

    def before_run(self, runner: Runner) -> None:
        """Compare the names of the images of the test set.

        Args:
            runner (Runner): Runner of the test.

        Raises:
            DataError: If two are the same.
        """
        seen: dict[str, str] = {}
        for dataset in inner_data_sets(runner.test_dataloader.dataset):
            for i in range(len(dataset) if hasattr(dataset, 'get_data_info') else 0):
                path = str(dataset.get_data_info(i).get('img_path') or i)
                other = seen.setdefault(Path(path).name, path)
                if other != path:
                    raise DataError(
                        f'{self.option} names files after images, and {other} and {path} have the '
                        'same name: give them different ones, or test one folder at a time'
                    )


def save_predictions(cfg: Config, path: str) -> None:
    """Save predictions: label maps of a segmentor, a file of results of other models.

    Args:
        cfg (Config): Config, changed in place.
        path (str): A folder for label maps (PNG), or a file that ends in ``.pkl``.

    Raises:
        ValueError: If the path does not end in ``.pkl`` where it must, or the test has no metric
            that can write label maps.
    """
    name = library_of(cfg, '--out')
    evaluator = cfg.get('test_evaluator')
    if not evaluator:
        raise ValueError('--out needs test_evaluator in the config')
    if name == 'mmseg':
        writers = [node for _, node in dicts_in(evaluator) if type_name(node) == 'IoUMetric']
        if not writers:
            raise ValueError('--out needs an IoUMetric in test_evaluator, which writes label maps')
        writers[0]['output_dir'] = path
        return
    if not path.endswith('.pkl'):
        kind = dict(mmdet='a detector', mmpretrain='a classifier')[name]
        raise ValueError(f'--out must end in .pkl for {kind}, got {path}')
    dump = dict(type=LIBRARIES[name].dump, out_file_path=path)
    if isinstance(evaluator, (list, tuple)):
        cfg.test_evaluator = [*evaluator, dump]
    elif 'metrics' not in evaluator:
        cfg.test_evaluator = [evaluator, dump]
    elif type_name(evaluator) in ('', 'Evaluator'):
        evaluator['metrics'] = [*as_list(evaluator['metrics']), dump]
    else:
        raise ValueError(
            f'--out cannot add to test_evaluator of type {evaluator["type"]}; put '
            f'{dump} into its metrics'
        )
