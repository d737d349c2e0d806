"""What the guard lets through, without a server."""

import asyncio

import pytest
from starlette.exceptions import HTTPException

from mmfreq.serving.guard import MAX_BODY, Guard
from mmfreq.serving.server import listen


def ask(path='/', headers=(), body=(b'',), hosts=('localhost', '127.0.0.1')):
    """Status, headers, and what the application got."""
    sent, got, parts = [], [], list(body)

    async def app(scope, receive, send):
        while True:
            message = await receive()
            got.append(message['body'])
            if not message['more_body']:
                break
        await send(dict(type='http.response.start', status=200, headers=[]))

    async def receive():
        part = parts.pop(0)
        return dict(type='http.request', body=part, more_body=bool(parts))

    async def send(message):
        sent.append(message)

    given = {'host': '127.0.0.1:7860', **dict(headers)}
    pairs = [(name.encode(), value.encode()) for name, value in given.items()]
    scope = dict(type='http', method='POST', path=path, headers=pairs)
    asyncio.run(Guard(app, hosts)(scope, receive, send))
    return sent[0]['status'], dict(sent[0]['headers']), got


def test_requests_of_the_page():
    for path in ('/', '/assets/a.js', '/gradio_api/upload', '/gradio_api/file=/tmp/a.png'):
        status, headers, got = ask(path, body=[b'a', b'b'])
        assert (status, got) == (200, [b'a', b'b'])
        assert b"default-src 'self'" in headers[b'content-security-policy']


@pytest.mark.parametrize(
    'path',
    [
        '/monitoring/summary',
        '/gradio_api/proxy=http://a.b/c',
        '/gradio_api/file=http://a.b/c',
        '/gradio_api/file=HTTPS://a.b/c',
        '/gradio_api/process_recording',
        '/gradio_api/run/look',
        '/gradio_api/call/look',
        '/gradio_api/vibe-edit',
        '/docs',
        '//gradio_api/upload',
    ],
)
def test_other_addresses(path):
    assert ask(path)[::2] == (404, [])


def test_other_hosts():
    for host in ('evil.example', 'localhost.evil.example', '127.0.0.1.evil.example:7860', ''):
        assert ask(headers={'host': host})[::2] == (400, [])
    assert ask(headers={'host': 'evil.example'}, hosts=())[0] == 200
    assert ask(headers={'host': 'localhost'})[0] == 200


def test_sizes():
    for length in (str(500 * 2**20), str(MAX_BODY + 1), '-1', 'x'):
        assert ask(headers={'content-length': length})[::2] == (413, [])
    assert ask(headers={'content-length': str(MAX_BODY)})[0] == 200
    with pytest.raises(HTTPException) as error:  # Starlette makes an answer of it
        ask(body=[bytes(2**20)] * 21)
    assert error.value.status_code == 413 and 'may have 20 MB' in error.value.detail


def test_ports(unused_port):
    with listen('127.0.0.1', unused_port) as first:
        assert first.getsockname() == ('127.0.0.1', unused_port)
        with pytest.raises(
            ValueError, match=f'port {unused_port} is busy; --port 0 takes a free one'
        ):
            listen('127.0.0.1', unused_port)
        with listen('127.0.0.1', 0) as second:
            assert second.getsockname()[1] not in (0, unused_port)
    with pytest.raises(ValueError, match=r'--host 203\.0\.113\.1 is no address of this machine'):
        listen('203.0.113.1', 0)
    with pytest.raises(ValueError, match='--port must be from 0 to 65535, got 70000'):
        listen('127.0.0.1', 70000)
