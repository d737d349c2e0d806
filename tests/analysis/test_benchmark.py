"""Results, their file and their page; times are only compared with each other."""

import csv
import os
import re
import signal
import subprocess

import pytest
import torch
from browser import OPTIONS, find_browser

from mmfreq.analysis.speed import benchmark
from mmfreq.analysis.speed.benchmark import FIELDS, Case, measure_group
from mmfreq.analysis.speed.plan import Choice, plan
from mmfreq.analysis.speed.report import bars, curves, write_report
from mmfreq.analysis.speed.results import ResultFile
from mmfreq.analysis.speed.runtimes import LARGEST_ERRORS, RUNTIMES, check_runtime
from mmfreq.analysis.speed.workloads import Workload, source_of

MACHINE = 'a machine, 2 cores'


def case(model, size=64, **changes):
    usual = Case(model, 'inference', 'eager', 'cpu', size, size, 1, 1)
    return usual._replace(**changes)


def result(model, size, speed, **changes):
    values = dict(params=10**6, turns=3, img_per_s=speed, spread=0.1, memory_mib=1e4 / speed)
    values |= dict(ms_p50=1.0, ms_p90=2.0, ms_p99=3.0, ratio=1.0, ratio_spread=0.0, reference='a')
    values |= dict(machine=MACHINE, torch='2', date='2026-01-01', status='ok')
    return {**case(model, size)._asdict(), **values, **changes}


@pytest.fixture(scope='module')
def measured():
    cases = [
        case('affnet-et'),
        case('gfnet-h-s', 128),
        case('affnet-et', batch_size=10**7),
        case('affnet-et', 2**20),
    ]
    return measure_group(cases, turns=5, warmup=1)


def test_results(measured):
    quick, slow = measured[:2]
    assert [row['status'] for row in measured] == ['ok', 'ok', *['out of memory'] * 2]
    assert quick['params'] == 775168
    assert quick['turns'] == 5
    assert quick['ratio'] == 1
    assert slow['ratio'] == pytest.approx(slow['img_per_s'] / quick['img_per_s'], rel=0.5)
    assert slow['ratio'] < 0.5
    for row in (quick, slow):
        assert 0 < row['ms_p50'] <= row['ms_p90'] <= row['ms_p99']
        assert row['img_per_s'] == pytest.approx(1e3 / row['ms_p50'], rel=0.5)
        assert row['reference'] == 'affnet-et'
    assert 4 * slow['params'] / 2**20 < slow['memory_mib'] < 400


def test_a_process_that_ends():
    for end, status in (
        (signal.SIGKILL, 'out of memory'),
        (signal.SIGTERM, 'ended with status -15'),
    ):
        workers = [benchmark._Worker(case(name), 1) for name in ('affnet-et', 'gfnet-h-ti')]
        os.kill(workers[1]._process.pid, end)
        for _ in range(2):
            for worker in workers:
                worker.take_turn()
        rows = [worker.result(workers[0]) for worker in workers]
        assert rows[0]['status'] == 'ok' and rows[0]['turns'] == 2
        assert rows[1]['status'].endswith(status)
        assert 'img_per_s' not in rows[1]
        for worker in workers:
            worker.close()


def test_training_needs_more_memory_than_inference():
    pair = [case('gfnet-h-ti', 96), case('gfnet-h-ti', 96, mode='training')]
    inference, training = measure_group(pair, turns=2, warmup=1)
    assert training['memory_mib'] > inference['memory_mib'] + 3 * 4 * training['params'] / 2**20
    assert training['ratio'] < 0.8


@pytest.mark.parametrize('mode', ['inference', 'training'])
@pytest.mark.parametrize(
    'config',
    [
        'fpn_affnet_et_ade20k',
        'ssdlite_affnet_et_coco',
        pytest.param('mask_rcnn_affnet_et_coco', marks=pytest.mark.thorough),
    ],
)
def test_whole_models(config, mode):
    path = f'configs/{config}.py'
    workload = Workload(path, mode, 'eager', 'cpu', (96, 128), 2)
    before = [param.detach().clone() for param in workload.network.parameters()]
    workload.step()
    changed = [
        not torch.equal(new, old)
        for new, old in zip(workload.network.parameters(), before, strict=True)
    ]
    assert any(changed) == (mode == 'training')


def test_models_are_named_in_four_ways():
    library = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
    for model, expected in (
        ('gfnet-h-ti', ('', 'gfnet-h-ti')),
        ('plain:gfnet-h-ti', ('plain', 'gfnet-h-ti')),
        ('my/networks.py:small', ('my/networks.py', 'small')),
        (library, ('', library)),
    ):
        assert source_of(model) == expected
    usual = (['inference'], ['eager'], ['cpu'], ['64'], [1], 1, None)
    assert plan(Choice([library], *usual))[0][0].model == library
    with pytest.raises(FileNotFoundError, match=r'there is no config mmdet::no\.py'):
        plan(Choice(['mmdet::no.py'], *usual))


@pytest.mark.parametrize('variant', ['amp', 'channels-last', 'amp+channels-last'])
def test_variants(variant):
    workload = Workload('affnet-et', 'training', variant, 'cpu', (64, 64), 2)
    workload.step()
    outputs = workload.forward(workload.images)
    is_last = workload.images.is_contiguous(memory_format=torch.channels_last)
    assert is_last == ('channels-last' in variant)
    assert all(output.isfinite().all() for output in outputs)


@pytest.mark.parametrize('variant', ['exported', 'onnxruntime', 'openvino', 'int8', 'bf16'])
def test_variants_give_what_eager_mode_gives(variant):
    for package in RUNTIMES.get(variant, ((), ''))[0]:
        pytest.importorskip(package)
    workload = Workload('gfnet-ti', 'inference', variant, 'cpu', (32, 32), 1)
    workload.step()
    assert workload.compare() < LARGEST_ERRORS.get(variant, 1e-5)


@pytest.mark.parametrize(('factor', 'error'), [(1.01, r'1\.0e-02'), (float('nan'), 'nan')])
def test_a_fast_wrong_answer_is_an_error(monkeypatch, factor, error):
    def wrong(network, images, variant):
        return network, lambda images: tuple(
            y if i == 0 else factor * y for i, y in enumerate(network(images))
        )

    monkeypatch.setattr('mmfreq.analysis.speed.workloads.prepare', wrong)
    workload = Workload('affnet-et', 'inference', 'exported', 'cpu', (32, 32), 1)
    with pytest.raises(ValueError, match=rf'outputs are {error} from eager mode, 1e-04 at most'):
        workload.compare()


def test_steps_that_waited_for_a_cpu_are_dropped():
    def worker(variant, turns):
        made = object.__new__(benchmark._Worker)
        made.case, made.status, made.facts = case('a', variant=variant), 'ok', {}
        made.turns = turns
        return made

    eager = worker('eager', [[(0.1, 0.0), (0.9, 0.5)], [(0.8, 0.3)], [(0.1, 0.001)]])
    other = worker('compiled', [[(0.2, 0.0)], [(0.2, 0.0)], [(0.2, 0.0)]])
    row = eager.result(eager)
    assert (row['dropped'], row['img_per_s'], row['ms_p99']) == (0.5, 10, 100)
    row = other.result(benchmark._reference_of(other, [eager, other]))
    assert (row['ratio'], row['reference'], row['dropped']) == (0.5, 'a (eager)', 0)
    noisy = worker('eager', [[(0.1, 0.1)], [(0.1, 0.1)]])
    assert noisy.result(noisy)['img_per_s'] == 10 and noisy.result(noisy)['dropped'] == 1


def test_variants_of_a_network_take_turns():
    def planned(**changes):
        usual = Choice(['affnet-et', 'gfnet-ti'], ['inference'], ['eager'], [], [], [1], 1, None)
        return plan(usual._replace(**changes))

    assert [[c.model for c in group] for group in planned()] == [['affnet-et', 'gfnet-ti']]
    groups = planned(variants=['eager', 'exported'])
    assert [{c.model for c in group} for group in groups] == [{'affnet-et'}, {'gfnet-ti'}]
    assert [c.variant for c in groups[0]] == ['eager', 'exported']
    with pytest.raises(ValueError, match='exported is for --modes inference'):
        planned(variants=['exported'], modes=['training'])
    with pytest.raises(ValueError, match='combine with nothing'):
        planned(variants=['exported+amp'])


def test_a_missing_runtime_names_its_extra(monkeypatch):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'mmfreq\[openvino\]'"):
        check_runtime('openvino')


def test_bars_have_the_milliseconds_of_their_variants(tmp_path):
    file = ResultFile(tmp_path / 'results.csv', {MACHINE})
    file.add(
        result(model, 64, speed, ms_p50=1000 / speed, variant=variant, ratio=speed / 10)
        for model in ('a', 'b')
        for variant, speed in (('eager', 10), ('onnxruntime', 20))
    )
    (ax,) = bars(file.rows).axes
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ['eager', 'onnxruntime']
    assert [bar.get_height() for bar in ax.patches] == pytest.approx([1, 1, 0.5, 0.5])
    assert [text.get_text() for text in ax.texts] == ['100', '100', '50', '50']


def test_files_of_earlier_versions_are_read(tmp_path):
    path = tmp_path / 'results.csv'
    row = {name: str(value) for name, value in result('a', 64, 10.0).items()}
    with path.open('w') as stream:
        writer = csv.DictWriter(stream, row)
        writer.writeheader()
        writer.writerow(row)
    (read,) = ResultFile(path, {MACHINE}).rows
    assert read['img_per_s'] == '10.0' and read['dropped'] == read['error'] == ''


def test_file_of_results(tmp_path):
    path = tmp_path / 'results.csv'
    file = ResultFile(path, {MACHINE})
    file.add([result('a', 64, 10.0), result('b', 64, 20.0, status='RuntimeError: no')])
    with path.open('a') as stream:
        stream.write('c,inference,eager')  # a line that was cut off
    file = ResultFile(path, {MACHINE})
    assert [row['model'] for row in file.rows] == ['a', 'b']
    assert file.is_done(case('a')) and not file.is_done(case('b'))
    assert not file.is_done(case('a', batch_size=2))
    assert not file.is_done(case('a', threads=2))
    file.add([result('b', 64, 30.0)])
    assert ResultFile(path, {MACHINE}).is_done(case('b'))
    assert path.read_text().splitlines()[0] == ','.join(FIELDS)
    with pytest.raises(ValueError, match='results of another machine: a machine, 2 cores'):
        ResultFile(path, {'another'})
    path.write_text('a,b\n1,2\n')
    with pytest.raises(ValueError, match='is not a result of this benchmark'):
        ResultFile(path, {MACHINE})


@pytest.fixture
def rows(tmp_path):
    results = [
        *(result('slow<&>', size, 1000 / size) for size in (64, 128)),
        *(result('quick', size, 9000 / size, ratio=9.0) for size in (64, 128)),
        result('large', 128, 0.1, status='out of memory', img_per_s=None, ratio=None),
    ]
    file = ResultFile(tmp_path / 'results.csv', {MACHINE})
    file.add(results)
    with file.path.open() as stream:
        return list(csv.DictReader(stream))


def test_legends_name_the_right_lines(rows):
    ax = curves(rows, 'throughput').axes[0]
    drawn = {line.get_label(): list(line.get_ydata()) for line in ax.lines}
    assert drawn == {
        'slow<&>': pytest.approx([1000 / 64, 1000 / 128], rel=1e-4),
        'quick': pytest.approx([9000 / 64, 9000 / 128], rel=1e-4),
    }
    legend = ax.get_legend()
    for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True):
        line = next(line for line in ax.lines if line.get_label() == text.get_text())
        assert line.get_color() == handle.get_color()
    assert curves([row for row in rows if row['status'] != 'ok'], 'memory') is None


def test_one_size_is_drawn_as_bars_and_axes_have_ticks_to_read(rows):
    one = [row for row in rows if row['height'] == '64']
    ax = curves(one, 'throughput').axes[0]
    assert not ax.lines and [label.get_text() for label in ax.get_yticklabels()] == [
        'slow<&>',
        'quick',
    ]
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([1000 / 64, 9000 / 64], 1e-4)
    for row in rows:
        row['img_per_s'] = {'64': '163', '128': '760'}[row['height']]
    figure = curves(rows, 'throughput')
    figure.draw_without_rendering()
    low, high = figure.axes[0].get_ylim()
    shown = [tick for tick in figure.axes[0].get_yticks() if low <= tick <= high]
    assert shown == [200, 300, 500, 700]


def test_page_in_a_browser(rows, tmp_path):
    """The page alone, in a folder of its own, without a network."""
    browser = find_browser()
    page = write_report(rows, tmp_path / 'report', 'python tools/benchmark.py <&> --report x')
    for name in ('throughput_inference', 'memory_inference'):
        for suffix in ('.svg', '.png'):
            assert (tmp_path / 'report' / f'{name}{suffix}').stat().st_size > 5000
    text = page.read_text()
    assert not re.search(r'(src|href)="(?!data:)', text)
    alone = tmp_path / 'alone' / 'page.html'
    alone.parent.mkdir()
    probe = """<script>addEventListener('load', () => {
      const column = name => [...document.querySelectorAll('#results th')].findIndex(
        header => header.textContent === name);
      const read = name => [...document.querySelectorAll('#results tbody tr')].map(
        row => row.cells[column(name)].textContent).join(';');
      const click = name => document.querySelectorAll('#results th')[column(name)].click();
      const images = [...document.images].map(
        image => image.complete && image.naturalWidth > 100 && image.clientWidth > 100);
      const found = {images, before: read('model')};
      click('img/s'); found.ascending = read('img/s'); found.models = read('model');
      click('img/s'); found.descending = read('img/s');
      click('model'); found.names = read('model');
      document.title = JSON.stringify(found);
    })</script>"""
    alone.write_text(text.replace('</body>', f'{probe}</body>'))
    offline = ('--proxy-server=127.0.0.1:9', f'--user-data-dir={tmp_path}/profile')
    command = [browser, *OPTIONS, *offline, '--dump-dom', f'file://{alone}']
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    title = re.search('<title>(.*?)</title>', done.stdout)[1]
    assert '"images":[true,true]' in title
    assert '"before":"slow&lt;&amp;&gt;;slow' in title
    assert '"ascending":"7.81;15.6;70.3;141;"' in title  # what was not measured comes last
    assert '"descending":"141;70.3;15.6;7.81;"' in title
    assert '"names":"large;quick;quick;slow' in title
