"""Every tool as a user runs it, in a process of its own."""

import hashlib
import os
import pickle
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from process import ADE, COCO, here, output, python, refusal, run

from mmfreq.models import FDResNet
from mmfreq.utils import read_checkpoint
from mmfreq.utils.checkpoint import find_weights


def test_train_segmentor(segmentor, pretrained):
    work_dir, _, log = segmentor
    assert re.search(r'Iter\(train\) \[2/2\].*eta:.*loss: ', log)
    assert re.search(r'Iter\(val\) \[4/4\].*mIoU: ', log)
    assert f'GFNet: loaded 201 of 209 tensors from {pretrained}' in log
    assert 'the learning rate is made for batches of 16, this run has 2' in log
    assert (work_dir / 'iter_2.pth').is_file()
    assert list(work_dir.glob('*/vis_data/events.out.tfevents.*'))
    pictures = list(work_dir.glob('*/vis_data/vis_image/val_*.png'))
    assert cv2.imread(str(pictures[0])).shape == (96, 256, 3)  # ground truth beside prediction


@pytest.mark.parametrize('resume', ['auto', 'PATH'])
def test_resume(segmentor, resume):
    work_dir, options, _ = segmentor
    path = [] if resume == 'auto' else [work_dir / 'iter_2.pth']
    last = 3 if resume == 'auto' else 4
    log = output(
        python(
            *('tools/train.py', ADE, *options, '--resume', *path),
            *('--cfg-options', f'train_cfg.max_iters={last}'),
        )
    )
    assert re.search(rf'Iter\(train\) \[3/{last}\]', log)
    assert not re.search(r'Iter\(train\) \[[12]/', log)
    assert (work_dir / f'iter_{last}.pth').is_file()


def test_test_segmentor(segmentor, tmp_path):
    work_dir, options, _ = segmentor
    done = python(
        *('tools/test.py', ADE, work_dir / 'iter_2.pth', *options, '--out', tmp_path / 'maps'),
        *('--show-dir', tmp_path / 'pictures'),
    )
    assert re.search(r'Iter\(test\) \[4/4\].*mIoU: ', output(done))
    maps = sorted((tmp_path / 'maps').iterdir())
    labels = cv2.imread(str(maps[0]), cv2.IMREAD_UNCHANGED)
    assert len(maps) == 4 and labels.shape == (96, 128)
    assert labels.min() >= 1 and labels.max() <= 150
    assert len(list((tmp_path / 'pictures').rglob('*.png'))) == 4


def test_test_time_augmentation_of_the_segmentor(segmentor):
    work_dir, options, _ = segmentor
    done = python(
        *('tools/test.py', ADE, work_dir / 'iter_2.pth', *options, '--tta'),
        *('--cfg-options', 'test_dataloader.dataset.indices=1'),
    )
    assert re.search(r'Iter\(test\) \[1/1\].*mIoU: ', output(done))
    assert not list(work_dir.rglob('vis_image/test_*')), 'without --show-dir nothing is drawn'


def test_train_detector(detector):
    work_dir, _, log = detector
    assert re.search(r'Epoch\(train\) \[1\]\[4/4\].*eta:.*loss_mask: ', log)
    assert 'coco/bbox_mAP: ' in log and 'coco/segm_mAP: ' in log
    assert (work_dir / 'epoch_1.pth').is_file()
    assert 'the backbone starts from scratch; see --pretrained' in log


def test_test_detector(detector, tmp_path):
    work_dir, options, _ = detector
    done = python(
        *('tools/test.py', COCO, work_dir / 'epoch_1.pth', *options),
        *('--out', tmp_path / 'results.pkl', '--show-dir', tmp_path / 'pictures'),
    )
    assert 'coco/segm_mAP: ' in output(done)
    assert len(pickle.loads((tmp_path / 'results.pkl').read_bytes())) == 4
    pictures = list((tmp_path / 'pictures').rglob('*.jpg'))
    assert len(pictures) == 4
    assert cv2.imread(str(pictures[0])).shape == (96, 256, 3)


@pytest.mark.thorough
def test_test_time_augmentation_of_the_detector(detector):
    work_dir, options, _ = detector
    done = python(
        *('tools/test.py', COCO, work_dir / 'epoch_1.pth', *options, '--tta'),
        *('--cfg-options', 'test_dataloader.dataset.indices=1'),
    )
    assert 'masks are not evaluated' in output(done)
    assert 'coco/bbox_mAP: ' in output(done) and 'coco/segm_mAP: ' not in output(done)


@pytest.mark.skipif(torch.cuda.is_available(), reason='two processes need two GPUs then')
@pytest.mark.thorough
def test_two_processes(mini_data, tmp_path, unused_port):
    options = ['--data-root', mini_data / 'coco', '--work-dir', tmp_path]
    env = dict(MASTER_PORT=str(unused_port), OMP_NUM_THREADS='1')
    done = run(*('bash', 'tools/dist_train.sh', COCO, 2, *options), **env)
    assert re.search(r'Epoch\(train\) \[1\]\[2/2\]', output(done))  # half of the batches each
    assert 'coco/segm_mAP: ' in output(done)
    done = run(
        *('bash', 'tools/dist_test.sh', COCO, tmp_path / 'epoch_1.pth', 2, *options),
        **env,
    )
    assert 'coco/segm_mAP: ' in output(done)


@pytest.mark.parametrize('requeue', ['0', '1'])
def test_what_the_slurm_scripts_ask_for(tmp_path, requeue):
    """tests/slurm runs them on a cluster; this one shows what they hand to Slurm."""
    for name in ('srun', 'sbatch'):
        (tmp_path / name).write_text(f'#!/usr/bin/env bash\necho {name} "$*"\n')
        (tmp_path / name).chmod(0o755)
    env = dict(
        PATH=f'{tmp_path}:{os.environ["PATH"]}',
        GPUS='12',
        TIME='1-00:00:00',
        SRUN_ARGS='--exclusive --comment=x',
        REQUEUE=requeue,
    )
    work_dir = tmp_path / 'new/run'
    train = run('bash', 'tools/slurm_train.sh', 'part', 'job', ADE, work_dir, '--amp', **env).stdout
    assert train.startswith('sbatch' if requeue == '1' else 'srun')
    for part in (
        '--partition=part --job-name=job --nodes=2 --ntasks=12 --ntasks-per-node=8',
        '--cpus-per-task=5 --gres=gpu:8 --time=1-00:00:00 --exclusive --comment=x',
        f'train.py --launcher slurm {ADE} --work-dir {work_dir}',
    ):
        assert part in train
    assert train.rstrip().endswith('--resume --amp' if requeue == '1' else f'{work_dir} --amp')
    assert (f'--output={work_dir}/slurm-%j.log' in train) == work_dir.is_dir() == (requeue == '1')
    test = run('bash', 'tools/slurm_test.sh', 'p', 'j', ADE, 'a.pth', GRES='', NODES='3', **env)
    assert '--gres' not in test.stdout and '--nodes=3' in test.stdout
    assert f'test.py --launcher slurm {ADE} a.pth' in test.stdout


@pytest.mark.parametrize(
    'tool',
    [
        'train.py',
        'test.py',
        'demo.py',
        'dataset_converters/render_mini_data.py',
        'model_converters/convert_checkpoint.py',
    ],
)
def test_help_has_an_example(tool):
    done = python(f'tools/{tool}', '--help')
    assert re.search(rf'examples?:\s+(python tools/{tool}|mmfreq {Path(tool).stem}) ', done.stdout)


@pytest.mark.parametrize(
    'tool', ['dist_train', 'dist_test', 'slurm_run', 'slurm_train', 'slurm_test', 'slurm_job']
)
def test_scripts_explain_themselves(tool):
    assert f'tools/{tool}.sh' in run('bash', f'tools/{tool}.sh', '--help').stdout
    assert run('bash', f'tools/{tool}.sh', check=False).returncode == 2


@pytest.mark.thorough
def test_demo_with_a_few_iterations(tmp_path):
    """Two iterations learn nothing, which the demo says; `make demo` itself takes minutes."""
    done = python('tools/demo.py', '--work-dir', tmp_path / 'demo', '--iters', 2, check=False)
    assert done.returncode == 1
    assert re.search(r'mIoU \d+\.\d on the validation scenes, after \d', done.stdout)
    assert re.search(r'constant\nprediction has \d+\.\d', done.stdout)
    assert done.stderr.splitlines()[-1].startswith('error: the model should be at least 3 times')
    assert ' nan ' not in done.stdout  # a class that no scene has
    assert Image.open(tmp_path / 'demo/sheet.png').width > 1000
    (command,) = re.findall(r'mmfreq (predict .*) IMAGE.jpg', done.stdout)
    image = next((tmp_path / 'demo/data').rglob('validation/*.jpg'))
    python('-m', 'mmfreq', *command.split(), image, '--out', tmp_path / 'out')
    assert (tmp_path / 'out' / f'{image.stem}_overlay.jpg').is_file()


def test_demo_leaves_other_folders_alone(tmp_path):
    (tmp_path / 'precious').touch()
    assert 'holds something else' in refusal('tools/demo.py', '--work-dir', tmp_path)
    assert (tmp_path / 'precious').exists()


def test_render_mini_data(tmp_path):
    size = ('--train', 2, '--val', 1, '--size', 64, 80)
    command = ('tools/dataset_converters/render_mini_data.py', tmp_path / 'mini', *size)
    done = python(*command)
    assert re.search(r'best constant prediction: \d+\.\d\d mIoU', done.stdout)
    assert len(list((tmp_path / 'mini/coco/train2017').iterdir())) == 2
    again = python(*command, check=False)
    assert again.returncode == 1 and 'exists; remove it' in again.stderr


@pytest.mark.parametrize('tool', ['train', 'test'])
@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--data-root', '/nowhere'], 'data not found: /nowhere does not exist'),
        (['--cfg-options', 'model.backbone.arch=h-xl'], "arch must be one of .*, got 'h-xl'"),
        (['--cfg-options', 'model.backbone.out_indices=(0,7)'], 'out_indices must be in'),
    ],
)
def test_wrong_input_ends_in_one_message(mini_data, pretrained, tmp_path, tool, options, message):
    root = ['--data-root', mini_data / 'ADEChallengeData2016']
    checkpoint = [pretrained] if tool == 'test' else []
    work_dir = ['--work-dir', tmp_path / 'run']
    done = python(f'tools/{tool}.py', ADE, *checkpoint, *root, *work_dir, *options, check=False)
    assert done.returncode == 1
    assert re.search(rf'^error: .*{message}', done.stderr, re.M)
    assert 'Traceback' not in done.stderr
    assert not list(tmp_path.rglob('*.pth'))


@pytest.mark.parametrize('kind', ['missing', 'truncated', 'nan'])
@pytest.mark.parametrize('option', ['--pretrained', '--resume', 'test'])
def test_wrong_checkpoints_end_in_one_message(mini_data, tmp_path, kind, option):
    path = tmp_path / 'bad.pth'
    if kind != 'missing':
        torch.save({'state_dict': {'weight': torch.tensor(np.full((100, 100), np.nan))}}, path)
    if kind == 'truncated':
        path.write_bytes(path.read_bytes()[:5000])
    options = ['--data-root', mini_data / 'ADEChallengeData2016', '--work-dir', tmp_path / 'run']
    if option == 'test':
        command = ['tools/test.py', ADE, path, *options]
    else:
        command = ['tools/train.py', ADE, *options, option, path]
    done = python(*command, check=False)
    message = {'missing': 'no such|does not exist', 'truncated': 'truncated', 'nan': 'NaN'}[kind]
    assert done.returncode == 1
    assert re.search(rf'^error: .*bad\.pth.*({message})', done.stderr, re.M), output(done)[-2000:]
    assert 'Traceback' not in done.stderr
    assert [p.name for p in tmp_path.rglob('*.pth')] == ([] if kind == 'missing' else ['bad.pth'])


def test_convert_checkpoint(tmp_path):
    from mmpretrain.models.backbones import ResNet

    torch.save(ResNet(depth=18).state_dict(), tmp_path / 'r18.pth')
    tool = 'tools/model_converters/convert_checkpoint.py'
    command = (tool, 'mmfreq.FDResNet', tmp_path / 'r18.pth', tmp_path / 'out')
    done = python(*command, '--options', 'depth=18', 'kernel_num=8')
    assert 'loaded   stages.0.blocks.0.conv1.spectrum' in done.stdout
    assert 'missing  stages.0.blocks.0.conv1.attention.fc.weight' in done.stdout
    (path,) = (tmp_path / 'out').iterdir()
    assert done.stdout.rstrip().endswith(f'written to {path}')
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.name == f'r18-{digest[:8]}.pth'
    loaded = torch.load(path, weights_only=True)
    assert list(loaded) == ['state_dict']
    FDResNet(depth=18, kernel_num=8).load_state_dict(loaded['state_dict'])


@pytest.mark.parametrize(
    ('backbone', 'options', 'message'),
    [
        ('mmfreq.Other', ['arch=s18'], "no backbone 'mmfreq.Other'"),
        ('mmfreq.DFFormer', ['arch=s18'], r'h-ti\.pth does not hold the whole DFFormer'),
        ('mmfreq.GFNet', ['arch=h-s'], r'h-ti\.pth belongs to another arch than this GFNet'),
        ('mmfreq.GFNet', ['size=3'], 'cannot be built'),
    ],
)
def test_wrong_conversions_end_in_one_message(pretrained, tmp_path, backbone, options, message):
    tool = 'tools/model_converters/convert_checkpoint.py'
    done = python(tool, backbone, pretrained, tmp_path, '--options', *options, check=False)
    assert done.returncode == 1
    assert re.search(rf'^error: .*{message}', done.stderr, re.M), output(done)[-2000:]
    assert 'Traceback' not in done.stderr and not list(tmp_path.iterdir())


@pytest.mark.thorough
def test_weights_that_cannot_be_downloaded(mini_data, tmp_path):
    """The authors' weights are the default of their configs: a machine without network is told."""
    options = ['--data-root', mini_data / 'ADEChallengeData2016', '--work-dir', tmp_path / 'run']
    offline = dict(TORCH_HOME=str(tmp_path), https_proxy='http://127.0.0.1:9')
    config = 'configs/fpn_dfformer_s18_ade20k.py'
    done = python('tools/train.py', config, *options, check=False, **offline)
    assert done.returncode == 1
    message = r'^error: cannot download https://\S+/dfformer_s18\.pth: .*--pretrained PATH.* none'
    assert re.search(message, done.stderr, re.M), output(done)[-2000:]
    assert 'Traceback' not in done.stderr and not (tmp_path / 'run').exists()
    done = python('tools/train.py', config, *options, '--resume', 'a.pth', check=False, **offline)
    assert 'a.pth does not exist' in done.stderr  # a resumed run needs no other weights


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        ('fpn_dfformer_s18_ade20k', 'does not hold the whole DFFormer: '),
        ('upernet_gfnet_h_s_ade20k', 'belongs to another arch than this GFNet: '),
    ],
)
def test_weights_of_another_network_end_in_one_message(
    mini_data, pretrained, tmp_path, config, message
):
    options = ['--data-root', mini_data / 'ADEChallengeData2016', '--work-dir', tmp_path / 'run']
    command = ['tools/train.py', f'configs/{config}.py', *options, '--pretrained', pretrained]
    done = python(*command, check=False)
    assert done.returncode == 1
    assert re.search(rf'^error: .*h-ti\.pth {message}', done.stderr, re.M), output(done)[-2000:]
    assert 'Traceback' not in done.stderr and not list(tmp_path.rglob('*.pth'))


def test_wrong_label_map_stops_the_training(mini_data, tmp_path):
    root = tmp_path / 'ade'
    (root / 'images').mkdir(parents=True)
    (root / 'images/training').symlink_to(mini_data / 'ADEChallengeData2016/images/training')
    (root / 'images/validation').symlink_to(mini_data / 'ADEChallengeData2016/images/validation')
    (root / 'annotations/training').mkdir(parents=True)
    (root / 'annotations/validation').mkdir()
    for i in range(1, 9):
        path = root / f'annotations/training/{i:06d}.png'
        cv2.imwrite(str(path), np.full((96, 128), 177, np.uint8))
    options = ['--data-root', root, '--work-dir', tmp_path / 'run']
    done = python('tools/train.py', ADE, *options, check=False)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert re.search(r'\d{6}\.png has class id 177, the highest one allowed is 150', last)
    assert not list(Path(tmp_path / 'run').glob('*.pth'))


def test_published_file_has_weights_only(tmp_path):
    weights = {'backbone.a': torch.randn(3), 'head.b': torch.randn(2, 2)}
    content = dict(
        state_dict=weights,
        optimizer=dict(state={}),
        meta=dict(cfg='print(1)', experiment_name='private', seed=3),
        message_hub={},
    )
    torch.save(content, tmp_path / 'iter_5.pth')
    for option, suffix in (((), '.pth'), (('--safetensors',), '.safetensors')):
        command = ('tools/misc/publish_model.py', tmp_path / 'iter_5.pth', tmp_path / 'out')
        said = here(*command, '--name', 'mine', *option)
        path = next((tmp_path / 'out').glob(f'mine-*{suffix}'))
        assert path.stem.removeprefix('mine-') in said.splitlines()[-1]
        published = read_checkpoint(path)  # compares the hash
        if suffix == '.pth':  # mmseg needs meta, even an empty one
            assert set(published) == {'state_dict', 'meta'} and published['meta'] == {}
        found = find_weights(published, path)
        assert found.keys() == weights.keys()
        assert all(torch.equal(found[name], weights[name]) for name in weights)
        os.truncate(path, path.stat().st_size - 1)
        with pytest.raises(ValueError, match='is not the file that its name promises'):
            read_checkpoint(path)
