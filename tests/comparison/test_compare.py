"""`mmfreq compare`: recipes, statistics by hand, and a comparison that is stopped and goes on."""

import csv
import fcntl
import json
import math
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mmengine.config import Config as MMConfig
from PIL import Image
from process import ADE, output, python

from mmfreq.analysis.comparisons.summary import summarize
from mmfreq.analysis.comparisons.tables import read_runs, runs_csv, runs_table, trials_table
from mmfreq.commands.compare import complaints, write_trials
from mmfreq.comparison.conditions import perform_trial, trials_of
from mmfreq.comparison.recipe import Condition, Recipe, dump_recipe, read_recipe
from mmfreq.comparison.report import draw_trials
from mmfreq.comparison.runs import runs_of

RECIPES = sorted(Path('configs/comparisons').glob('*.yml'))
NETWORKS = sorted(Path('configs/comparisons').glob('*/[!_]*.py'))


def write(path, **content):
    path.write_text(json.dumps(content))  # JSON is YAML
    return path


def result(name, seed, test, val=1.0):
    return dict(name=name, seed=seed, metric='mIoU', params=2_000_000, val=val, test=test) | dict(
        step_s=0.5, curve=[(10, 0.25), (20, val)]
    )


def test_statistics_are_those_of_the_formulas():
    first = [result('a', 0, 10.0), result('a', 1, 12.0), result('a', 2, 14.0)]
    second = [result('b', 0, 13.0), result('b', 1, 17.0)]
    a, b = summarize(second + first, ['a', 'b', 'c'])
    assert (a.score, a.spread, a.difference, a.seeds) == (12.0, 2.0, 0.0, 3)
    assert (b.score, b.difference, b.seeds) == (15.0, 3.0, 2)
    assert b.spread == pytest.approx(8**0.5)
    assert b.error == pytest.approx(math.sqrt(2.0**2 / 3 + 8 / 2))
    assert '| b | 2.00 M | 2 | 1.00 | 15.00 ± 2.83 | +3.00 ± 2.31 |' in ' '.join(
        runs_table([a, b], 'mIoU', True).split()
    )


def test_one_run_has_no_spread_and_without_a_test_set_validation_counts():
    (a, b) = summarize([result('a', 0, None, val=3.0), result('b', 0, None, val=2.0)], ['a', 'b'])
    assert (a.score, b.difference) == (3.0, -1.0)
    assert math.isnan(a.spread) and math.isnan(b.error)
    said = runs_table([a, b], 'mIoU', False)
    assert '±' not in said and 'test' not in said


def test_shares_have_four_digits():
    two = summarize([result('a', 0, 0.354), result('b', 0, 0.3575)], ['a', 'b'])
    assert '0.3575' in runs_table(two, 'coco/bbox_mAP', True)


def test_scores_of_tests_and_validations_are_not_compared():
    with pytest.raises(ValueError, match='some networks have a test set'):
        summarize([result('a', 0, None), result('b', 0, 1.0)], ['a', 'b'])


def test_numbers_that_yaml_takes_for_texts_are_numbers(tmp_path):
    path = tmp_path / 'r.yml'
    path.write_text('{configs: {a: gfnet}, metric: mIoU, options: {lr: 1e-4, name: 1e-4x}}')
    assert read_recipe(path).options == {'lr': 1e-4, 'name': '1e-4x'}


def test_curves_are_in_the_csv():
    (row,) = csv.DictReader(
        runs_csv([result('a', 0, 10.0) | dict(commit='c', command='mmfreq train')]).splitlines()
    )
    assert row['curve'] == '10:0.25 20:1' and row['command'] == 'mmfreq train'
    known = dict(val=1.0, test=10.0, params=2_000_000, seed=0, name='a')
    (read,) = read_runs([row | dict(params='2000000')])
    assert known.items() <= read.items()


def test_configs_are_beside_the_recipe_or_names(tmp_path):
    (tmp_path / 'mine.py').write_text('')
    path = write(tmp_path / 'r.yml', metric='mIoU', configs={'a': 'mine.py', 'b': 'mmseg::x.py'})
    recipe = read_recipe(path)
    assert recipe.configs == {'a': str(tmp_path / 'mine.py'), 'b': 'mmseg::x.py'}
    assert recipe.seeds == [0, 1, 2]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(sedes=[1]), 'sedes is unknown; did you mean seeds?'),
        (dict(metric=None), 'metric must be a name, got None'),
        (dict(seeds=3), 'seeds must be a list, got 3'),
        (dict(seeds=[-1]), 'seeds must be whole numbers'),
        (dict(seeds=[1, 1]), 'seeds has 1 twice'),
        (dict(rule='higher'), "rule must be 'greater' or 'less'"),
        (dict(configs={'a/b': 'x'}), "first, got 'a/b'"),
        (dict(configs={'..': 'x'}), "first, got '..'"),
        (dict(configs={'a|b': 'x'}), "first, got 'a|b'"),
        (dict(conditions={'': {}}), "first, got ''"),
        (dict(configs={'a': 3}), 'a must be a file or a name, got 3'),
        (dict(configs={'a': 'nowhere.py'}), 'there is no config'),
    ],
)
def test_wrong_recipes_are_named(tmp_path, change, message):
    path = write(tmp_path / 'r.yml', **{'metric': 'mIoU', 'configs': {'a': 'gfnet'}} | change)
    with pytest.raises((ValueError, FileNotFoundError), match=r'r\.yml') as error:
        read_recipe(path)
    assert message in str(error.value)


def test_names_that_are_there_twice_are_an_error(tmp_path):
    path = tmp_path / 'r.yml'
    path.write_text('metric: mIoU\nconfigs:\n  a: gfnet\n  a: dfformer\n')
    with pytest.raises(ValueError, match='a is there twice'):
        read_recipe(path)
    path.write_text('{metric: mIoU, configs: {a: gfnet}, options: {3: 4}}')
    with pytest.raises(ValueError, match='dotted keys, got 3'):
        read_recipe(path)


def test_conditions_that_are_gone_leave_no_table(trials):
    found = trials('value = 1', blur=dict(transforms=[BLUR]))['blur']
    out = found.run.folder.parents[1]
    (out / 'conditions.md').write_text('of another condition')
    write_trials([found.run], ['a'], out)
    assert not (out / 'conditions.md').exists()


def test_a_recipe_that_is_not_yaml_is_one_message(tmp_path):
    path = tmp_path / 'r.yml'
    path.write_text('a: [')
    done = python('tools/compare.py', path, check=False)
    assert done.returncode == 1 and output(done).count('\n') < 12
    assert 'is not a YAML file' in output(done) and 'Traceback' not in output(done)


def test_conditions_are_read_and_named(tmp_path):
    blur = dict(type='mmfreq.Corrupt', corruption='gaussian_blur')
    path = write(
        tmp_path / 'r.yml',
        metric='mIoU',
        configs={'a': 'gfnet', 'b': 'gfnet'},
        seeds=[0],
        conditions={
            'blur': dict(transforms=[blur]),
            'large': dict(options={'lr': '1e-4'}, networks=['b']),
        },
    )
    recipe = read_recipe(path)
    assert recipe.conditions['large'].options == {'lr': 1e-4}
    trials = trials_of(runs_of(recipe, tmp_path))
    assert list(map(str, trials)) == ['a, seed 0, blur', 'b, seed 0, blur', 'b, seed 0, large']
    (tmp_path / 'copy.yml').write_text(dump_recipe(recipe))  # as jobs of an array get it
    assert read_recipe(tmp_path / 'copy.yml') == recipe


@pytest.mark.parametrize(
    ('condition', 'message'),
    [
        (dict(option={}), 'conditions: c: option is unknown; did you mean options?'),
        (dict(networks=['aa']), "networks has 'aa', which is not in configs; did you mean a?"),
        (dict(transforms=['blur']), "transforms must have a type each, got 'blur'"),
        (dict(options=[1]), 'options must be a mapping'),
        (dict(networks=None), 'networks must be a list, got None'),
        (dict(transforms=None), 'transforms must be a list, got None'),
        (dict(networks='a'), "networks must be a list, got 'a'"),
        (3, 'conditions: c must be a mapping, got 3'),
    ],
)
def test_wrong_conditions_are_named(tmp_path, condition, message):
    path = write(
        tmp_path / 'r.yml', metric='mIoU', configs={'a': 'gfnet'}, conditions={'c': condition}
    )
    with pytest.raises(ValueError, match=r'r\.yml') as error:
        read_recipe(path)
    assert message in str(error.value)


def trial(name, seed, condition, value, as_trained):
    return dict(name=name, seed=seed, condition=condition, metric='mIoU', value=value) | dict(
        as_trained=as_trained
    )


def test_trials_are_means_over_the_seeds_that_have_all_of_them():
    results = [
        trial('a', 0, 'blur', 10.0, 40.0),
        trial('a', 1, 'blur', 20.0, 44.0),
        trial('a', 0, 'large', 30.0, 40.0),
        trial('a', 1, 'large', 33.0, 44.0),
        trial('a', 2, 'blur', 99.0, 99.0),  # interrupted
        trial('b', 0, 'blur', 5.0, 20.0),
        trial('c', 0, 'blur', 0.0, 0.0),
    ]
    lines = [line.split('|')[1:-1] for line in trials_table(results, ['a', 'b', 'c']).splitlines()]
    cells = [[cell.strip() for cell in line] for line in lines]
    assert cells[0] == ['mIoU', 'a', 'b', 'c']
    assert cells[2:] == [
        ['as trained', '42.00', '20.00', '0.00'],
        ['blur', '15.00', '5.00', '0.00'],
        ['large', '31.50', '', ''],
    ]
    figure = draw_trials(results, ['a', 'b', 'c'])
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert shown == ['36%', '25%', '75%']  # 15 / 42, 5 / 20, 31.5 / 42; of nothing there is none


@pytest.fixture
def trials(tmp_path):
    """Trials of a run that is done, by the name of the condition."""

    def make(config, **conditions):
        path = tmp_path / 'mine.py'
        path.write_text(config)
        given = {name: Condition(**content) for name, content in conditions.items()}
        recipe = Recipe({'a': str(path)}, 'mIoU', [0], conditions=given)
        (run,) = runs_of(recipe, tmp_path / 'out')
        run.check_unchanged()
        (run.folder / 'result.json').write_text(json.dumps(dict(val=3.0, best_step=2, test=4.0)))
        return {trial.name: trial for trial in trials_of([run])}

    return make


BLUR = dict(type='mmfreq.Corrupt', corruption='gaussian_blur')


def test_a_trial_is_done_as_long_as_condition_and_checkpoint_are_the_same(trials):
    config = f"_base_ = '{Path(ADE).resolve()}'\n"
    first = trials(config, blur=dict(transforms=[BLUR]))['blur']
    assert first.result is None
    path = first.folder / 'result.json'
    path.parent.mkdir(parents=True)
    change = json.dumps(dict(options={}, transforms=[BLUR]), sort_keys=True)
    path.write_text(json.dumps(dict(value=2.0, change=change, best_step=2, as_trained=4.0)))
    assert first.result['value'] == 2.0
    other = trials(config, blur=dict(transforms=[BLUR | dict(severity=5)]))['blur']
    assert other.result is None
    again = trials(config, blur=dict(transforms=[dict(reversed(BLUR.items()))]))['blur']
    assert again.result is not None, 'the order of keys says nothing'
    (again.run.folder / 'result.json').write_text(json.dumps(dict(val=3, best_step=4, test=4.0)))
    assert again.result is None, 'the run was trained anew'


def test_a_changed_config_stops_a_trial(trials):
    config = f"_base_ = '{Path(ADE).resolve()}'\n"
    found = trials(config, blur=dict(transforms=[BLUR]))['blur']
    Path(found.run.config).write_text(config + 'randomness = dict(seed=3)\n')
    with pytest.raises(ValueError, match='its config, or options or metric'):
        perform_trial(found)


def test_conditions_that_cannot_be_are_said_before_a_training(trials):
    config = f"_base_ = '{Path(ADE).resolve()}'\n"
    found = trials(
        config,
        none=dict(options={'val_dataloader.batch_size': 3}),
        kind=dict(transforms=[dict(type='mmfreq.Corupt')]),
        corruption=dict(transforms=[dict(type='mmfreq.Corrupt', corruption='blurr')]),
        good=dict(transforms=[BLUR], options={'scale': [64, 48]}),
    )
    for name, message in (
        ('none', 'change nothing about the test'),
        ('kind', 'mmfreq.Corupt'),
        ('corruption', 'corruption must be one of'),
    ):
        with pytest.raises(ValueError, match=message) as error:
            found[name].config_text()
        assert str(error.value).startswith(f'a, seed 0, {name}: ')
    assert '(64, 48)' in found['good'].config_text() or '64,' in found['good'].config_text()


def test_conditions_reach_wrapped_data_sets_and_validation_sets(trials):
    config = f"""_base_ = '{Path(ADE).resolve()}'
inner = dict(_base_.val_dataloader.dataset)
val_dataloader = dict(
    dataset=dict(_delete_=True, type='ConcatDataset', datasets=[inner, inner])
)
test_dataloader = test_evaluator = test_cfg = None
"""
    text = trials(config, blur=dict(transforms=[BLUR]))['blur'].config_text()
    cfg = MMConfig.fromstring(text, '.py')
    for data in cfg.test_dataloader.dataset.datasets:
        assert [step['type'] for step in data['pipeline'][-2:]] == [
            'mmfreq.Corrupt',
            'PackSegInputs',
        ]


def test_a_trial_that_fails_or_is_to_stop_says_so(trials):
    found = trials('value = 1', blur=dict(transforms=[BLUR]))['blur']
    said = complaints(found, lambda: -9)
    assert said == [f'a, seed 0, blur ended with status -9, see {found.folder}/output.log']
    assert complaints(found, lambda: 0) == []
    with pytest.raises(SystemExit) as ended:
        complaints(found, lambda: 85)
    assert ended.value.code == 85


@pytest.fixture(scope='module')
def comparison(tmp_path_factory, mini_data):
    folder = tmp_path_factory.mktemp('comparison')
    small = Path(ADE).resolve()
    (folder / 'first.py').write_text(f"_base_ = '{small}'\n")
    (folder / 'second.py').write_text(
        f"_base_ = '{small}'\nmodel = dict(backbone=dict(drop_path_rate=0.1))\n"
    )
    recipe = write(
        folder / 'recipe.yml',
        metric='mIoU',
        configs={'first': 'first.py', 'second': 'second.py'},
        seeds=[0],
        options={
            'train_cfg.max_iters': 6,
            'train_cfg.val_interval': 3,
            'default_hooks.checkpoint.interval': 3,
            'default_hooks.logger.interval': 1,
        },
        conditions={
            'small, fog': {
                'options': {'scale': [64, 48]},
                'transforms': [{'type': 'mmfreq.Corrupt', 'corruption': 'fog'}],
            }
        },
    )
    out = folder / 'out'
    root = mini_data / 'ADEChallengeData2016'
    return out, [recipe, '--out', out, '--data-root', root]


@pytest.mark.thorough
def test_a_comparison_is_stopped_goes_on_and_is_told(comparison):
    out, arguments = comparison
    command = [sys.executable, 'tools/compare.py', *map(str, arguments)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    first = out / 'first/seed_0/train'
    end = time.monotonic() + 300
    while not list(first.glob('iter_3.pth')):
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 85 and not list(out.rglob('result.json'))

    said = output(python('tools/compare.py', *arguments))
    assert '2 of 2 runs are done' in said and 'difference to first' in said
    rows = list(csv.DictReader((out / 'runs.csv').read_text().splitlines()))
    assert [(row['name'], row['seed']) for row in rows] == [
        ('first', '0'),
        ('second', '0'),
    ]
    for row in rows:
        assert row['curve'].startswith('3:') and ' 6:' in row['curve'] and row['steps'] == '6'
        assert f'randomness.seed={row["seed"]}' in row['command']
        folder = out / row['name'] / f'seed_{row["seed"]}'
        assert f'mIoU: {float(row["test"]):.4f}' in (folder / 'output.log').read_text()
        assert float(row['wall_s']) > 0
    starts = len(list(first.glob('*/vis_data')))
    assert starts == 2, 'it was started twice'
    assert Image.open(out / 'samples.jpg').width == 12 + 4 * (240 + 12)  # image, truth, two
    trials = list(csv.DictReader((out / 'conditions.csv').read_text().splitlines()))
    assert [row['name'] for row in trials] == ['first', 'second']
    for row in trials:
        folder = out / row['name'] / 'seed_0/conditions/small, fog'
        assert f'mIoU: {float(row["value"]):.4f}' in (folder / 'output.log').read_text()
        score = next(run['test'] for run in rows if run['name'] == row['name'])
        assert float(row['as_trained']) == float(score)
        config = (folder / 'config.py').read_text()
        assert config.index('64') < config.index("corruption='fog'") < config.index('PackSegInputs')
    for name in ('curves.png', 'scores.png', 'conditions.png'):
        assert min(Image.open(out / name).size) > 200

    written = [path.stat().st_mtime_ns for path in sorted(out.rglob('result.json'))]
    assert '2 of 2 runs are done' in output(python('tools/compare.py', *arguments))
    assert written == [path.stat().st_mtime_ns for path in sorted(out.rglob('result.json'))]

    recipe = json.loads(Path(arguments[0]).read_text())
    changed = write(out.parent / 'changed.json', **recipe | dict(metric='mAcc'))
    done = python('tools/compare.py', changed, *arguments[1:], '--report', check=False)
    assert done.returncode == 1
    assert 'its config, or options or metric of the recipe' in output(done)
    said = output(python('tools/compare.py', *arguments[:3], '--report'))
    assert '2 of 2 runs are done' in said, 'the folder of the data is known'


@pytest.mark.thorough
def test_a_run_that_fails_is_named_and_the_others_are_done(comparison, tmp_path):
    _, arguments = comparison
    recipe = json.loads(Path(arguments[0]).read_text())
    small = Path(ADE).resolve()
    broken = tmp_path / 'broken.py'
    broken.write_text(f"_base_ = '{small}'\nmodel = dict(backbone=dict(arch='nothing'))\n")
    recipe['configs'] = {
        'broken': 'broken.py',
        'first': str(Path(arguments[0]).with_name('first.py')),
    }
    path = write(tmp_path / 'r.yml', **recipe)
    more = ['--out', tmp_path / 'out', *arguments[3:]]
    done = python('tools/compare.py', path, *more, check=False)
    assert done.returncode == 1
    assert '1 of 2 runs are done' in output(done)
    assert 'broken, seed 0 ended with status 1' in output(done)

    broken.write_text('model = dict(')
    done = python(
        'tools/compare.py', path, '--out', tmp_path / 'other', *arguments[3:], check=False
    )
    assert done.returncode == 1 and 'broken.py' in output(done)
    assert not list(tmp_path.glob('other/*/*/output.log')), 'configs are read before any training'


def test_what_another_process_trains_or_what_is_done_is_not_taken_for_something_else(tmp_path):
    mine = tmp_path / 'mine.py'
    mine.write_text('value = 1')
    (run,) = runs_of(Recipe({'a': str(mine)}, 'mIoU', [0]), tmp_path / 'out')
    run.check_unchanged()
    mine.write_text('value = 2')
    run.check_unchanged()  # nothing was trained yet
    assert 'value = 2' in run.config_file.read_text()
    mine.write_text('value = 3')
    with (run.folder / 'lock').open('a') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match='its config'):
            run.check_unchanged()
    (run.folder / 'result.json').write_text('{}')  # its checkpoints were removed
    with pytest.raises(ValueError, match='its config'):
        run.check_unchanged()
    assert 'value = 2' in run.config_file.read_text()


@pytest.mark.parametrize('config', NETWORKS, ids=lambda p: p.stem)
def test_networks_of_the_recipe_are_of_a_size(config):
    from mmengine.config import Config

    from mmfreq.analysis.cost.flops import count_params
    from mmfreq.zoo import build_model

    cfg = Config.fromfile(config)
    named = [path for recipe in RECIPES for path in read_recipe(recipe).configs.values()]
    assert str(config.resolve()) in named
    assert 2.5e6 < count_params(build_model(cfg)) < 14e6
    assert cfg.train_cfg.max_iters == cfg.param_scheduler[-1].end
