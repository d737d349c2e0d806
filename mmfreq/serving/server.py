"""A server for the page, which ends with Ctrl-C and leaves no files."""

import errno
import ipaddress
import os
import signal
import socket
import sys
import tempfile
from typing import Any

from torch import nn

from mmfreq.serving.guard import MAX_UPLOAD, Guard
from mmfreq.serving.network import Network

__all__ = ['listen', 'serve']

LOOPBACK = ('localhost', '127.0.0.1', '[::1]')


def listen(host: str, port: int) -> socket.socket:
    """Take a port.

    Args:
        host (str): Name or address of this machine.
        port (int): Port; 0 for any free one.

    Returns:
        socket.socket: Bound, and not answering yet.

    Raises:
        ValueError: If the port is busy or not allowed, or the host is not this machine.
    """
    if not 0 <= port <= 65535:
        raise ValueError(f'--port must be from 0 to 65535, got {port}')
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ValueError(f'port {port} is busy; --port 0 takes a free one') from error
        if error.errno == errno.EACCES:
            raise ValueError(f'port {port} is for root only; use one above 1023') from error
        raise ValueError(
            f'--host {host} is no address of this machine ({error.strerror}); 127.0.0.1 is for '
            'this machine only, 0.0.0.0 for all that reach it'
        ) from error
    return listener


def serve(model: nn.Module, title: str, about: str, listener: socket.socket) -> None:
    """Serve the page until Ctrl-C or SIGTERM.

    Args:
        model (nn.Module): From :func:`mmfreq.init_model`.
        title (str): Heading of the page.
        about (str): A line below it.
        listener (socket.socket): From :func:`listen`.

    Raises:
        ConfigError: If the config has no test pipeline that reads images.
    """
    network = Network(model)
    host, port = listener.getsockname()[:2]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # goes on below, so that files go away
    with tempfile.TemporaryDirectory(prefix='mmfreq-serve-') as folder:
        # Gradio reads these when it is imported.
        os.environ.update(GRADIO_TEMP_DIR=folder, GRADIO_ANALYTICS_ENABLED='False')
        import uvicorn

        app = Guard(_application(network, title, about), _names(host))
        settings = uvicorn.Config(
            app,
            log_level='warning',
            ws='none',
            server_header=False,
            timeout_graceful_shutdown=1,  # pages that are open hold a connection
        )
        name = f'[{host}]' if ':' in host else host
        print(f'http://{name}:{port} shows the page; Ctrl-C ends it', flush=True)
        try:
            uvicorn.Server(settings).run(sockets=[listener])
        except KeyboardInterrupt:
            pass
        finally:
            print('stopped', flush=True)


def _application(network: Network, title: str, about: str) -> Any:
    import gradio
    from fastapi import FastAPI

    from mmfreq.serving.page import CSS, THEME, build_page

    page = build_page(network, title, about)
    page.queue(max_size=20, api_open=False)
    app = FastAPI(openapi_url=None)
    gradio.mount_gradio_app(
        app,
        page,
        path='/',
        footer_links=[],
        run_history=False,
        allowed_paths=[],
        blocked_paths=['/proc', '/sys'],
        show_error=False,
        max_file_size=MAX_UPLOAD,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        theme=THEME,
        css=CSS,
    )
    # Only pages that have started refuse paths which were not uploaded, and files as SVG.
    page.has_launched = page.is_running = True
    return app


def _names(host: str) -> tuple[str, ...]:
    """Names by which a server on the loopback interface is called; any for others."""
    return LOOPBACK if ipaddress.ip_address(host.partition('%')[0]).is_loopback else ()
