"""A headless Chromium that is told what to do, over the pipe of its DevTools protocol."""

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

OPTIONS = ('--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage')


def find_browser():
    """Path of Chromium; without one the test is skipped."""
    browser = shutil.which('chromium') or shutil.which('chromium-browser')
    if browser is None:
        assert 'CI' not in os.environ, 'run tools/setup/browser.sh'
        pytest.skip('there is no chromium; see tools/setup/browser.sh')
    return browser


class Browser:
    """One page.

    ``requested`` has the addresses that the page asked for, ``complaints`` what its console and
    its scripts say.
    """

    def __init__(self, address, folder, size=(1280, 1600)):
        to_browser, self.commands = os.pipe()
        self.answers, from_browser = os.pipe()
        options = [*OPTIONS, f'--user-data-dir={folder}/profile', '--remote-debugging-pipe']
        redirect = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
        self.process = subprocess.Popen(
            ['bash', '-c', redirect, find_browser(), *options],
            pass_fds=(to_browser, from_browser),
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self.buffer, self.number, self.session = b'', 0, None
        self.requested, self.complaints = [], []
        target = self.call('Target.createTarget', url='about:blank')['targetId']
        attached = self.call('Target.attachToTarget', targetId=target, flatten=True)
        self.session = attached['sessionId']
        for domain in ('Page', 'Network', 'Runtime', 'DOM', 'Log'):
            self.call(f'{domain}.enable')
        self.resize(*size)
        self.call('Page.navigate', url=address)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        os.close(self.commands)
        os.close(self.answers)

    def call(self, method, **params):
        self.number += 1
        message = dict(id=self.number, method=method, params=params)
        if self.session:
            message['sessionId'] = self.session
        os.write(self.commands, json.dumps(message).encode() + b'\0')
        while True:
            answer = self._read()
            if answer.get('id') == self.number:
                assert 'error' not in answer, answer
                return answer['result']

    def evaluate(self, script):
        found = self.call('Runtime.evaluate', expression=script, returnByValue=True)
        assert 'exceptionDetails' not in found, found
        return found['result'].get('value')

    def wait(self, script, seconds=60):
        """Wait until a script gives something that is true; returns it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = self.evaluate(script)
            if value:
                return value
            time.sleep(0.2)
        raise AssertionError(f'still false after {seconds} s: {script}; {self.complaints}')

    def choose_file(self, selector, path):
        """Choose a file where the page asks for one."""
        root = self.call('DOM.getDocument')['root']['nodeId']
        node = self.call('DOM.querySelector', nodeId=root, selector=selector)['nodeId']
        self.call('DOM.setFileInputFiles', nodeId=node, files=[str(path)])

    def resize(self, width, height):
        self.call(
            'Emulation.setDeviceMetricsOverride',
            **dict(width=width, height=height, deviceScaleFactor=1, mobile=False),
        )

    def screenshot(self, path):
        data = self.call('Page.captureScreenshot')['data']
        Path(path).write_bytes(base64.b64decode(data))

    def _read(self):
        while b'\0' not in self.buffer:
            part = os.read(self.answers, 2**20)
            assert part, 'the browser has ended'
            self.buffer += part
        message, self.buffer = self.buffer.split(b'\0', 1)
        message = json.loads(message)
        params = message.get('params', {})
        if message.get('method') == 'Network.requestWillBeSent':
            self.requested.append(params['request']['url'])
        elif message.get('method') == 'Runtime.exceptionThrown':
            self.complaints.append(params['exceptionDetails'])
        elif message.get('method') == 'Log.entryAdded' and params['entry']['level'] == 'error':
            self.complaints.append(params['entry'])
        return message
