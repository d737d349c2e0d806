"""The page as a user opens it: a process, real Chromium, a photo, and requests of strangers."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from browser import Browser
from PIL import Image
from process import refusal

import mmfreq

SEGMENTOR = 'tests/small/upernet.py'
pytestmark = pytest.mark.thorough


class Server:
    """A process of ``mmfreq serve``."""

    def __init__(self, config, checkpoint, folder):
        self.folder = folder
        self.process = subprocess.Popen(
            [
                *(sys.executable, '-W', 'ignore', '-m', 'mmfreq', 'serve', config, checkpoint),
                *('--port', '0', '--device', 'cpu'),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, 'TMPDIR': str(folder)},
        )
        line = self.process.stdout.readline()
        assert 'shows the page; Ctrl-C ends it' in line, self.process.communicate()
        self.address = re.search(r'http://127\.0\.0\.1:(\d+)', line)[0]
        self.port = int(self.address.rpartition(':')[2])

    def ask(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=60)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode(errors='replace')
        connection.close()
        return answer.status, text

    def memory(self):
        """The most memory that the process has had, in MB."""
        status = Path(f'/proc/{self.process.pid}/status').read_text()
        return int(re.search(r'VmHWM:\s+(\d+) kB', status)[1]) / 1024

    def files(self):
        return {path for path in self.folder.rglob('*') if path.is_file()}

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp('checkpoint') / 'small.pth'
    torch.manual_seed(0)
    model = mmfreq.init_model(SEGMENTOR, device='cpu')
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    return path


@pytest.fixture(scope='module')
def server(checkpoint, tmp_path_factory):
    server = Server(SEGMENTOR, checkpoint, tmp_path_factory.mktemp('temporary'))
    yield server
    if server.process.poll() is None:
        server.stop()


def upload(server, name, content, **headers):
    form = (
        f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
        'Content-Type: image/png\r\n\r\n'
    ).encode()
    body = form + content + b'\r\n--x--\r\n'
    kind = {'Content-Type': 'multipart/form-data; boundary=x', **headers}
    return server.ask('POST', '/gradio_api/upload', body, **kind)


def predict(server, path):
    """What the page is told when it asks for a prediction of a file."""
    file = dict(path=str(path), meta={'_type': 'gradio.FileData'})
    body = json.dumps(dict(data=[file, 0.5], fn_index=0, session_hash='test'))
    kind = {'Content-Type': 'application/json'}
    status, text = server.ask('POST', '/gradio_api/queue/join', body, **kind)
    assert status == 200, text
    _, stream = server.ask('GET', '/gradio_api/queue/data?session_hash=test')
    messages = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith('data: ')]
    (done,) = (message for message in messages if message['msg'] == 'process_completed')
    return done


def test_files_that_were_not_uploaded(server, shared):
    here = Path('setup.cfg').resolve()
    for path in ('/etc/passwd', here, '/proc/self/environ', f'{server.folder}/../../../etc/passwd'):
        status, text = server.ask('GET', f'/gradio_api/file={path}')
        assert status == 403 and 'root:' not in text, path
    photo = next((shared / 'data/camvid/images/val').iterdir())
    before = server.files()
    done = predict(server, photo)
    assert not done['success'] and 'data' not in done['output']
    assert server.files() == before  # nor was it copied
    svg = server.folder.parent / 'secret.svg'
    svg.write_text('<svg/>')
    assert not predict(server, svg)['success']
    assert server.ask('GET', f'/gradio_api/file={svg}')[0] == 403


def test_names_of_uploads(server):
    status, text = upload(server, '../../../evil.png', b'no image')
    assert status == 200
    (path,) = (Path(found).resolve() for found in json.loads(text))
    assert server.folder in path.parents and '..' not in str(path)
    done = predict(server, path)
    assert done['success']  # the message is for the page, not an error of the server
    assert 'evil.png' in done['output']['data'][1]
    assert str(server.folder) not in done['output']['data'][1]
    assert server.ask('GET', '/')[0] == 200


def test_large_requests(server):
    kind = 'multipart/form-data; boundary=x'
    started, before = server.memory(), server.files()
    for path in ('upload', 'queue/join'):
        connection = http.client.HTTPConnection('127.0.0.1', server.port, timeout=60)
        connection.putrequest('POST', f'/gradio_api/{path}')
        connection.putheader('Content-Type', kind)
        connection.putheader('Content-Length', str(500 * 2**20))
        connection.endheaders()  # and no body: it is refused before
        answer = connection.getresponse()
        assert answer.status == 413 and 'images may have 20 MB' in answer.read().decode()

    connection = http.client.HTTPConnection('127.0.0.1', server.port, timeout=60)
    connection.putrequest('POST', '/gradio_api/upload')
    connection.putheader('Content-Type', kind)
    connection.putheader('Transfer-Encoding', 'chunked')
    connection.endheaders()
    form = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    sent = 0
    try:
        for part in [form, *[bytes(2**20)] * 500]:
            connection.send(b'%x\r\n%s\r\n' % (len(part), part))
            sent += len(part)
    except OSError:  # the server has closed the connection
        pass
    else:
        assert connection.getresponse().status == 413
    assert server.memory() - started < 100
    assert upload(server, 'a.png', bytes(20 * 2**20 + 1))[0] == 413
    # Gradio leaves the beginning of what it refused; it goes away with the server.
    assert sum(path.stat().st_size for path in server.files() - before) < 50 * 2**20


def test_hosts_and_addresses(server):
    assert server.ask('GET', '/', Host='evil.example')[0] == 400
    for path in ('monitoring/summary', 'gradio_api/proxy=http://a.b/', 'gradio_api/openapi.json'):
        assert server.ask('GET', f'/{path}')[0] == 404
    listening = Path('/proc/net/tcp').read_text()
    assert f'0100007F:{server.port:04X} 00000000:0000 0A' in listening
    assert f'00000000:{server.port:04X}' not in listening


def text_of(browser, selector):
    return browser.evaluate(inner_text(selector))


def inner_text(selector):
    return f"(document.querySelector('{selector}')?.innerText ?? '')"


def picture(browser, name, other_than=''):
    """Wait for a picture; returns its address, width and height."""
    image = f"document.querySelector('#{name} img')"
    is_there = f"{image}?.complete && {image}.naturalWidth > 0 && {image}.src !== '{other_than}'"
    browser.wait(is_there)
    return browser.evaluate(f'[{image}.src, {image}.naturalWidth, {image}.naturalHeight]')


def move(browser, name, value):
    browser.evaluate(
        f"""(() => {{
          const slider = document.querySelector('#{name} input[type=range]');
          slider.value = {value};
          for (const kind of ['input', 'change', 'pointerup'])
            slider.dispatchEvent(new Event(kind, {{bubbles: true}}));
        }})()"""
    )


def open_tab(browser, name):
    browser.evaluate(
        "[...document.querySelectorAll('button[role=tab]')]"
        f".find(tab => tab.textContent.includes('{name}')).click()"
    )


def test_page_in_a_browser(server, shared, tmp_path):
    photo = sorted((shared / 'data/ade20k_mini').rglob('images/validation/*.jpg'))[0]
    width, height = Image.open(photo).size
    with Browser(server.address, tmp_path) as browser:
        choose = '#upload input[type=file]'
        for part in (choose, '#problem', '#high input', '#again'):
            browser.wait(f"document.querySelector('{part}') !== null")
        assert text_of(browser, 'h1') == 'upernet'
        assert 'small.pth, 150 classes, on cpu' in text_of(browser, '#title')

        broken = tmp_path / 'broken.jpg'
        broken.write_bytes(photo.read_bytes()[:5000])
        browser.choose_file(choose, broken)
        browser.wait(f"{inner_text('#problem')}.includes('broken.jpg')")
        assert str(server.folder) not in text_of(browser, 'body')
        remove = '#upload button[aria-label="Remove Image"]'
        browser.evaluate(f"document.querySelector('{remove}').click()")
        browser.wait(f"{inner_text('#problem')} === ''")

        browser.wait(f"document.querySelector('{choose}') !== null")
        browser.choose_file(choose, photo)
        first = picture(browser, 'prediction')
        assert first[1:] == [width, height]
        browser.wait("document.querySelectorAll('#found td').length > 3")
        assert re.search(r'Share of the pixels\s.*\d+\.\d%', text_of(browser, '#found'), re.S)

        move(browser, 'strength', 0)
        clear = picture(browser, 'prediction', first[0])
        assert clear[0] != first[0] and clear[1:] == first[1:]

        before = picture(browser, 'again')
        words = text_of(browser, '#changed')
        assert re.fullmatch(r'\d+\.\d% of the pixels change their class\.', words.strip())
        move(browser, 'low', 0.02)
        after = picture(browser, 'again', before[0])
        assert after[1:] == picture(browser, 'filtered')[1:] == [width, height]
        assert text_of(browser, '#changed') != words

        open_tab(browser, 'Spectra')
        assert all(picture(browser, f'spectra{i}')[1] > 800 for i in range(2))
        open_tab(browser, 'Learned filters')
        assert picture(browser, 'filters0')[1] > 800
        assert 'this network has learned' in text_of(browser, '#what')
        browser.screenshot(tmp_path / 'page.png')
        assert Image.open(tmp_path / 'page.png').size == (1280, 1600)
        outside = [a for a in browser.requested if not a.startswith((server.address, 'data:'))]
        assert [address for address in outside if not address.startswith('blob:')] == []
        # A small file is there before the page asks how far it has come.
        complaints = [c for c in browser.complaints if 'upload_progress' not in c.get('url', '')]
        assert complaints == []


def test_ctrl_c(server):
    """The last test of the process."""
    assert server.files()
    status, out, err = server.stop()
    assert (status, out) == (0, 'stopped\n'), err
    assert 'KeyboardInterrupt' not in err
    assert list(server.folder.glob('mmfreq-serve-*')) == []


def test_wrong_input(checkpoint, tmp_path, unused_port):
    tool = 'tools/serve.py'
    with socket.create_server(('127.0.0.1', unused_port)):
        said = refusal(tool, SEGMENTOR, checkpoint, '--port', unused_port)
    assert said == f'error: port {unused_port} is busy; --port 0 takes a free one'
    assert 'nowhere.pth' in refusal(tool, SEGMENTOR, tmp_path / 'nowhere.pth', '--port', 0)
    assert 'did you mean' in refusal(tool, 'upernet_gfnet_h_s_ade20', checkpoint, '--port', 0)


def test_without_gradio(monkeypatch):
    monkeypatch.setattr('mmfreq.commands.serve.find_spec', lambda name: None)
    said = refusal('tools/serve.py', SEGMENTOR, 'a.pth')
    assert "pip install 'mmfreq[serve]'" in said
