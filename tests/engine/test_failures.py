import pytest
from mmengine.logging import MMLogger

from mmfreq.engine import failures
from mmfreq.engine.nonfinite_hook import NonFiniteLossError
from mmfreq.utils.errors import DataError

WORKER = """Caught DataError in DataLoader worker process 0.
Original Traceback (most recent call last):
  File "a.py", line 1, in b
mmfreq.utils.errors.DataError: the sample of a.jpg could not be prepared"""


@pytest.mark.parametrize(
    ('error', 'cause'),
    [
        (DataError(WORKER), 'the sample of a.jpg could not be prepared'),
        (OSError(28, 'No space left on device'), '[Errno 28] No space left on device'),
        (NonFiniteLossError('step 3 is skipped'), 'step 3 is skipped'),
        (RuntimeError('shapes\n  differ'), 'RuntimeError: shapes differ'),
    ],
)
def test_causes_in_one_line(error, cause):
    assert failures.cause_of(error) == cause


@pytest.fixture
def log(tmp_path):
    MMLogger.get_instance(str(tmp_path), log_file=str(tmp_path / 'a.log'), file_mode='a')
    return tmp_path / 'a.log'


def test_only_unexpected_errors_have_a_traceback(log):
    assert failures.log_failure(OSError('disk full'), log) == 'disk full'
    assert 'Traceback' not in log.read_text()
    try:
        {}['x']
    except KeyError as error:
        failures.log_failure(error, log)
    text = log.read_text()
    assert 'Traceback' in text and text.splitlines()[-1].endswith("error: KeyError: 'x'")


def test_the_cause_stays_last_when_others_lose_the_connection(log, monkeypatch):
    monkeypatch.setattr(failures, 'get_rank', lambda: 3)
    failures.log_failure(OSError('disk full'), log)
    assert 'error: rank 3: disk full' in log.read_text().splitlines()[-1]
    monkeypatch.setattr(failures, 'get_rank', lambda: 0)
    lost = RuntimeError('[gloo/transport/tcp/pair.cc:538] Connection closed by peer')
    before = log.read_text()
    assert failures.log_failure(lost, log) == 'rank 3: disk full'
    assert log.read_text() == before
    with log.open('a') as file:
        file.write('INFO - Iter(train) [3/9]\n')
    failures.log_failure(lost, log)
    assert log.read_text().splitlines()[-1].endswith('error: rank 3: disk full')


def test_a_killed_process_leaves_no_cause(log):
    lost = RuntimeError('[gloo/transport/tcp/pair.cc:538] Connection closed by peer')
    assert failures.log_failure(lost, log) == 'another process of the run ended'
