"""Every option of the tools on configs of every library: the result, or one error with the key."""

import re
from statistics import median

import cv2
import pytest
import torch
from folders import removed_folder
from mmengine.config import Config
from mmengine.registry import DefaultScope
from process import output, python

import configs
from configs import ALL, CONFIGS, is_classifier, is_segmentor
from mmfreq.registry import MODELS
from mmfreq.utils.config_tree import find_backbones

pytestmark = pytest.mark.thorough


class Case:
    """A config, its data, and runs with it that several tests look at."""

    def __init__(self, name, folder, data):
        self.name = name
        self.folder = folder
        self.path = configs.write_small(name, folder)
        self.root = ['--data-root', configs.data_root(name, data)]
        self.work_dir = folder / 'run'
        self._trained = None

    def backbone(self):
        cfg = Config.fromfile(self.path)
        (parent,) = find_backbones(cfg.model).values()
        settings = {**parent['backbone'], 'init_cfg': None}
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            backbone = MODELS.build(settings)
        return backbone

    @property
    def weights(self):
        """A file of the backbone, with names as in a classifier's checkpoint."""
        path = self.folder / 'classifier.pth'
        if not path.is_file():
            torch.manual_seed(1)
            state = self.backbone().state_dict()
            torch.save({'state_dict': {f'backbone.{k}': v for k, v in state.items()}}, path)
        return path

    def train(self, *options, check=True):
        command = ('tools/train.py', self.path, '--work-dir', self.work_dir, *self.root)
        return python(*command, *options, check=check)

    def trained(self):
        """Log of a training and its checkpoint."""
        if self._trained is None:
            options = ['--pretrained', self.weights, '--tensorboard']
            log = output(self.train(*options))
            (checkpoint,) = self.work_dir.glob('[ie][tp]*_*.pth')
            self._trained = log, checkpoint
        return self._trained

    def test(self, *options, check=True):
        command = ('tools/test.py', self.path, self.trained()[1], *self.root)
        return python(*command, '--work-dir', self.folder / 'test', *options, check=check)


@pytest.fixture(scope='module')
def data(mini_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp('matrix_data')
    configs.write_data(mini_data, folder)
    return folder


@pytest.fixture(scope='module')
def case(request, data, tmp_path_factory):
    with removed_folder(tmp_path_factory, 'case') as folder:
        yield Case(request.param, folder, data)


@pytest.fixture
def cell(request, case, record_property):
    """Records for the table what an option did."""
    option = request.function.__name__.removeprefix('test_').replace('_', ' ')
    record_property('option', option)
    record_property('config', case.name)
    return lambda said: record_property('said', said)


every = pytest.mark.parametrize('case', ALL, indirect=True)
plain = pytest.mark.parametrize('case', list(CONFIGS), indirect=True)
# What is refused before a network is built does not depend on which one.
one_of_a_kind = pytest.mark.parametrize(
    'case',
    ['fcn', 'faster-rcnn', 'soft-teacher', 'resnet', 'upernet-gfnet', 'mask-rcnn-affnet'],
    indirect=True,
)


def refused(done, message):
    """One message, no trace, and nothing that looks like a result."""
    assert done.returncode == 1
    assert re.search(rf'^error: .*{message}', done.stderr, re.M), output(done)[-2000:]
    assert 'Traceback' not in output(done)


def distance(tensor, other):
    return float((tensor - other).norm() / other.norm())


@every
def test_train_with_pretrained(case, cell):
    log, checkpoint = case.trained()
    content = torch.load(checkpoint, weights_only=True)
    expected = torch.load(case.weights, weights_only=True)['state_dict']
    found = {
        name.removeprefix('student.'): tensor
        for name, tensor in content['state_dict'].items()
        if not name.startswith('teacher.')
    }
    moved = {
        name: distance(found[name].float(), tensor)
        for name, tensor in expected.items()
        if tensor.ndim >= 2 and tensor.is_floating_point() and tensor.any() and name in found
    }
    assert len(moved) > 10 and median(moved.values()) < 1  # other random ones: 1.4 and more
    if case.name.endswith('+'):  # lr_mult=0; MMEngine's constructor takes 'pos_embed' alone
        moved = {name: distance for name, distance in moved.items() if 'pos_embed' not in name}
        assert max(moved.values()) < 1e-6
    assert not re.search('starts from scratch', log)
    cell('result')


@every
def test_train_logs_metrics(case, cell):
    log, _ = case.trained()
    metric = 'mIoU' if is_segmentor(case.name) else 'bbox_mAP'
    assert re.search('accuracy/top1' if is_classifier(case.name) else metric, log)
    scalars = [path.read_text() for path in case.work_dir.glob('*/vis_data/scalars.json')]
    steps = re.findall(rf'{metric}.*"step": (\d+)', ''.join(scalars))
    assert is_classifier(case.name) or (steps and '0' not in steps)
    cell('result')


@every
def test_train_tensorboard(case, cell):
    case.trained()
    assert list(case.work_dir.glob('*/vis_data/events.out.tfevents.*'))
    cell('result')


@every
def test_train_resume_of_a_finished_run(case, cell):
    case.trained()
    before = case.trained()[1].stat().st_mtime
    case.weights.rename(case.folder / 'gone')  # a resumed run needs no pretrained weights
    try:
        log = output(case.train('--resume', '--pretrained', case.folder / 'classifier.pth'))
    finally:
        (case.folder / 'gone').rename(case.folder / 'classifier.pth')
    assert re.search('the run is finished: (2 of 2 iter|1 of 1 epoch)s are done', log)
    assert case.trained()[1].stat().st_mtime == before
    cell('result')


@plain
def test_train_auto_scale_lr(case, cell):
    cfg = Config.fromfile(case.path)
    options = ['--auto-scale-lr', '--pretrained', 'none']
    if 'base_batch_size' in cfg.get('auto_scale_lr', {}):
        options += ['--cfg-options', 'auto_scale_lr.base_batch_size=64']
        done = python(
            *('tools/train.py', case.path, *case.root, '--work-dir', case.folder / 'scaled'),
            *options,
        )
        assert 'LR is set based on batch size of 64' in output(done)
        cell('result')
    else:
        refused(case.train(*options, check=False), r'auto_scale_lr\.base_batch_size')
        cell('error')


@one_of_a_kind
def test_train_amp(case, cell):
    if torch.cuda.is_available():
        pytest.skip('is about machines without a GPU')
    refused(case.train('--amp', '--pretrained', 'none', check=False), '--amp needs a GPU')
    cell('error')


@one_of_a_kind
def test_train_without_pretrained_offline(case, cell):
    """What a config names is not there: an error that says what else can be done."""
    missing = case.folder / 'missing.pth'
    refused(case.train('--pretrained', missing, check=False), 'missing.pth')
    cell('error')


@one_of_a_kind
@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ('train_dataloder.batch_size=4', 'did you mean .*train_dataloader'),
        ('train_cfg.max_iter=2', r'train_cfg.*no argument .max_iter.; did you mean.* max_iters'),
        ('optim_wrapper.optimizer.lrr=1', r'optim_wrapper.*lrr.*did you mean.* lr'),
        (
            'model.bakbone.depth=18',
            r'model.*no argument .bakbone.; (did you mean|there are).* (backbone|detector)',
        ),
        ('train_pipeline.0.type=X', 'train_pipeline is a variable of the config file'),
        ('auto_scale_lr.enabel=True', 'enabel.*did you mean enable'),
    ],
    ids=['loader', 'loop', 'optimizer', 'model', 'variable', 'part'],
)
def test_train_cfg_options_with_a_typo(case, cell, options, message):
    names = Config.fromfile(case.path)
    if options.startswith('train_pipeline') and 'train_pipeline' not in names:
        pytest.skip('has no such variable')
    if options.startswith('train_cfg') and 'max_epochs' in names.train_cfg:
        options, message = 'train_cfg.max_epoch=2', message.replace('max_iter', 'max_epoch')
    done = case.train('--pretrained', 'none', '--cfg-options', options, check=False)
    refused(done, message)
    cell('error')


@one_of_a_kind
def test_train_data_root_elsewhere(case, cell):
    command = ('tools/train.py', case.path, '--data-root', '/nowhere', '--work-dir', case.work_dir)
    refused(python(*command, check=False), 'data not found: /nowhere')
    cell('error')


@plain
def test_train_with_other_classes(case, cell):
    head = {
        'faster-rcnn': 'roi_head.bbox_head',
        'faster-rcnn-fdconv': 'roi_head.bbox_head',
        'ssdlite-affnet': 'bbox_head',
        'mask-rcnn-affnet': 'roi_head.mask_head',
        'resnet': 'head',
        'retinanet': 'bbox_head',
        'retinanet-gfnet': 'bbox_head',
        'soft-teacher': 'detector.roi_head.bbox_head',
    }.get(case.name, 'decode_head')
    done = case.train(
        '--pretrained', 'none', '--cfg-options', f'model.{head}.num_classes=7', check=False
    )
    name = head.replace('detector.', '(student|teacher).')
    refused(done, 'train_dataloader.dataset has (150|80|3) classes')
    assert re.search(rf'model\.{name}\.num_classes=7', done.stderr)
    assert re.search(rf'--allow-mismatch .*{name}', done.stderr)
    cell('error')


@every
def test_test_out_and_show_dir(case, cell):
    maps = is_segmentor(case.name)
    out = case.folder / ('maps' if maps else 'out.pkl')
    pictures = case.folder / 'pictures'
    log = output(case.test('--out', out, '--show-dir', pictures))
    assert re.search(r'(Iter|Epoch)\(test\) \[1/1\].*(mIoU|mAP|top1)', log)
    assert len(list(out.glob('*.png'))) == 2 if maps else out.stat().st_size > 0
    drawn = list(pictures.rglob('*.[pj][np]g'))
    assert len(drawn) == 2
    assert cv2.imread(str(drawn[0])).std() > 5 or is_classifier(case.name)
    cell('result')


@plain
def test_test_tta(case, cell):
    done = case.test('--tta', check=False)
    if case.name in ('faster-rcnn', 'retinanet', 'soft-teacher', 'resnet'):  # they have no recipe
        refused(done, 'tta_model and tta_pipeline')
        cell('error')
    else:
        assert re.search(r'\(test\) \[\d/\d\].*(mIoU|mAP|top1)', output(done))
        cell('result')


@plain
def test_test_of_another_network(case, cell):
    """The checkpoint of a part, of a changed one, and of another network altogether."""
    content = torch.load(case.trained()[1], weights_only=True)
    other = case.folder / 'other.pth'
    torch.save({'state_dict': {'conv.weight': torch.ones(3, 3)}}, other)
    part = {k: v for k, v in content['state_dict'].items() if 'head' not in k}
    torch.save({'state_dict': part}, case.folder / 'part.pth')
    for path in (other, case.folder / 'part.pth'):
        done = python('tools/test.py', case.path, path, *case.root, check=False)
        refused(done, r'does not fit this \w+: \d+ of \d+ names found, missing')
        assert not re.search('(mIoU|mAP|top1): ', output(done))
    cell('error')


@every
@pytest.mark.parametrize('split', ['train', 'val', 'test'])
def test_browse_dataset(case, cell, split):
    pictures = case.folder / f'browse-{split}'
    python(
        *('tools/visualization/browse_dataset.py', case.path, *case.root, '--split', split),
        *('--number', 2, '--out-dir', pictures),
    )
    drawn = [cv2.imread(str(path)) for path in pictures.glob('*.png')]
    branches = 3 if case.name == 'soft-teacher' and split == 'train' else 2
    assert len(drawn) >= min(branches, 2)
    assert all(picture.std() > 5 for picture in drawn) or is_classifier(case.name)
    cell('result')


@every
def test_get_flops(case, cell):
    done = python('tools/analysis_tools/get_flops.py', case.path, '--shape', 64, '--json')
    assert re.search(r'"flops": [1-9]\d+', done.stdout)
    cell('result')


@plain
def test_export_onnx(case, cell):
    if case.name not in ('upernet', 'faster-rcnn', 'retinanet', 'resnet', 'soft-teacher'):
        pytest.skip('of these kinds the others are exported, and mmfreq in test_export')
    image = case.folder / 'image.png'
    cv2.imwrite(str(image), torch.randint(0, 255, (64, 96, 3), dtype=torch.uint8).numpy())
    done = python(
        *('tools/export_onnx.py', case.path, case.trained()[1], '--shape', 64, 96),
        *('--images', image, '--out', case.folder / 'model.onnx'),
        check=False,
    )
    if case.name in ('faster-rcnn', 'soft-teacher'):
        refused(done, r'FasterRCNN cannot be exported: layer roi_head .* works on regions')
        cell('error')
    else:
        assert (case.folder / 'model.onnx').is_file()
        cell('result')
