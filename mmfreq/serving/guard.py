"""What stands between the network and the page: limits, hosts, and the addresses that exist."""

import re
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse

__all__ = ['MAX_UPLOAD', 'Guard']

MAX_UPLOAD = 20 * 2**20  # bytes of an image file
MAX_BODY = MAX_UPLOAD + 2**16  # with what a form adds to it

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# What the page uses of Gradio; it can also fetch addresses for others, record and show numbers.
ADDRESSES = re.compile(
    r'/(config|theme\.css|favicon\.ico|manifest\.json|robots\.txt|pwa_icon(/\w+)?'
    r'|(assets|static|svelte)/.*'
    r'|gradio_api/(info|app_id|heartbeat/\w+|queue/(join|data)|upload(_progress)?|startup-events'
    r'|cancel|reset|file=(?!\w+:).*))?/?',
    re.IGNORECASE,
)
# Browsers then load nothing from elsewhere, and show the page in no other one.
HEADERS = {
    'content-security-policy': "default-src 'self'; script-src 'self' 'unsafe-inline' "
    "'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' "
    "data:; connect-src 'self' data: blob:; worker-src 'self' blob:; frame-ancestors 'self'",
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
}


class Guard:
    """An application that is asked only what it should answer.

    Requests are refused that are larger than an image may be (413, without reading them), that name
    another host (400; pages of others could reach a local server by a name of theirs), or that ask
    for anything but the page and its files (404).

    Args:
        app (Callable): The application, as ASGI defines it.
        hosts (Collection[str]): Names by which the server may be called, without port; empty for
            any.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], hosts: Collection[str] = ()) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope['type'] != 'http':
            await self.app(scope, receive, send)
            return
        refusal = self._refuse(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        await self.app(scope, _limited(receive), _with_headers(send))

    def _refuse(self, scope: dict[str, Any]) -> PlainTextResponse | None:
        headers = {name.decode(): value.decode('latin-1') for name, value in scope['headers']}
        host = re.sub(r':\d+$', '', headers.get('host', ''))
        if self.hosts and host not in self.hosts:
            return PlainTextResponse(f'this server is not {host}', 400)
        if not ADDRESSES.fullmatch(scope['path']):
            return PlainTextResponse('there is no such page', 404)
        length = headers.get('content-length', '0')
        if not length.isdecimal() or int(length) > MAX_BODY:
            return PlainTextResponse(_too_large(), 413, {'connection': 'close'})
        return None


def _limited(receive: Receive) -> Receive:
    """For requests that do not say how long they are."""
    received = 0

    async def limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get('body', b''))
        if received > MAX_BODY:
            raise HTTPException(413, _too_large(), {'connection': 'close'})
        return message

    return limited


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message['type'] == 'http.response.start':
            added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            message = {**message, 'headers': [*message['headers'], *added]}
        await send(message)

    return sending


def _too_large() -> str:
    return f'images may have {MAX_UPLOAD // 2**20} MB; make it smaller, or use mmfreq predict'
