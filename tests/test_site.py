"""The site of docs/: it builds without warnings and loads nothing from elsewhere."""

import os
import subprocess
import sys
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import matplotlib
import pytest
from browser import Browser

from mmfreq.analysis.zoo.pages import FAMILIES

pytest.importorskip('mkdocs')  # the extra docs, with Python 3.11 or newer
LOADED = {('script', 'src'), ('link', 'href'), ('img', 'src'), ('iframe', 'src')}


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp('site')
    command = [sys.executable, '-m', 'mkdocs', 'build', '--strict', '--site-dir', folder]
    environment = {**os.environ, 'PYTHONPATH': str(Path.cwd()), 'NO_MKDOCS_2_WARNING': '1'}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return folder


class Loads(HTMLParser):
    """Addresses that a page loads by itself; links that somebody has to click do not count."""

    def __init__(self, text):
        super().__init__()
        self.addresses = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == 'link' and given.get('rel') in ('next', 'prev', 'canonical'):
            return
        self.addresses += [given[name] for kind, name in LOADED if kind == tag and name in given]


def test_pages_load_nothing_from_other_hosts(site):
    pages = list(site.rglob('*.html'))
    assert len(pages) > 30
    for page in pages:
        elsewhere = [a for a in Loads(page.read_text()).addresses if '//' in a]
        assert not elsewhere, page
    for sheet in site.rglob('*.css'):
        assert 'url(http' not in sheet.read_text() and '@import' not in sheet.read_text(), sheet


def test_links_out_of_docs_lead_to_copies(site):
    training = (site / 'training.html').read_text()
    assert 'href="security.html"' in training
    assert 'href="sources/tools/slurm_job.sh.txt"' in training
    assert (site / 'sources/tools/slurm_job.sh.txt').read_text().startswith('#!')
    assert 'href="../sources/configs/' in (site / 'families/gfnet.html').read_text()


def test_formulas_need_no_script(site):
    page = (site / 'families/hornet.html').read_text()
    assert '<math' in page and '<msub>' in page


@pytest.mark.skipif(
    f'matplotlib=={matplotlib.__version__}; python_version >= "3.11"'
    not in Path('tools/setup/constraints.txt').read_text(),
    reason='another Matplotlib writes other numbers',
)
def test_figures_are_those_of_the_script(tmp_path):
    subprocess.run([sys.executable, 'tools/docs/draw_mixers.py', tmp_path], check=True)
    drawn = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert {name.removesuffix('.svg') for name in drawn} == set(FAMILIES)
    kept = {path.name: path.read_text() for path in Path('docs/images/mixers').iterdir()}
    assert drawn == kept


def test_docstrings_are_markdown(site):
    page = (site / 'api/backbones.html').read_text()
    assert ':class:' not in page and '====' not in page and '<th>arch</th>' in page
    assert 'drop_path_rate' in page and 'resize_mode' in page


@pytest.fixture
def address(site):
    handler = partial(SimpleHTTPRequestHandler, directory=site)
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}'
        server.shutdown()


def test_in_a_browser(address, tmp_path):
    """At the width of a phone nothing sticks out; the search finds; nothing is asked elsewhere."""
    wide = 'document.documentElement.scrollWidth > document.documentElement.clientWidth'
    with Browser(f'{address}/families/vheat.html', tmp_path, (390, 844)) as browser:
        browser.wait('document.readyState == "complete" && document.querySelector("math") !== null')
        assert not browser.evaluate(wide)
        browser.call('Page.navigate', url=f'{address}/reproduce.html?q=resize_mode')
        browser.wait('document.querySelector(".md-search-result__link") !== null')
        assert not browser.evaluate(wide)
        assert all(url.startswith((address, 'data:', 'blob:')) for url in browser.requested)
        assert not browser.complaints
