"""What MkDocs does beside Markdown when it builds the site: formulas, links out of docs, notebooks.

Pages of docs are read on the host of the repository, too: they link to files beside docs by
relative paths, and have formulas in fences of the kind ``math``.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

import nbformat
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

# Pages that lie beside docs, and what they are called on the site.
PAGES = {
    'CHANGELOG.md': 'changelog.md',
    'CONTRIBUTING.md': 'contributing.md',
    'SECURITY.md': 'security.md',
}
LINK = re.compile(r'(?<=\]\()(?!\w+:)([^)#\s]+)')


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Write formulas as MathML, which browsers draw without a script."""
    fence = dict(name='math', **{'class': 'math'}, format=_formula)
    config.mdx_configs['pymdownx.superfences'] = dict(custom_fences=[fence])
    return config


def _formula(source: str, *_: Any, **__: Any) -> str:
    return f'<div class="formula">{convert(source, display="block")}</div>'


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add pages and sources from beside docs that pages link to, and notebooks as pages."""
    for source, name in PAGES.items():
        files.append(File.generated(config, name, content=Path(source).read_text()))
    for source in sorted(set(_links_out_of_docs(files))):
        # With an ending that browsers show rather than save.
        text = Path(source).read_text()
        files.append(File.generated(config, f'sources/{source}.txt', content=text))
    for notebook in [file for file in files if file.src_uri.endswith('.ipynb')]:
        files.remove(notebook)
        for file in _as_page(notebook, config):
            files.append(file)
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Lead links to files beside docs to their copies on the site."""
    folder = posixpath.dirname(page.file.src_uri)

    def lead(match: re.Match) -> str:
        target = _from_root(page.file.src_uri, match[1])
        if target is None:
            return re.sub(r'\.ipynb$', '.md', match[1])
        return posixpath.relpath(_place_on_site(target), folder or '.')

    return LINK.sub(lead, markdown)


def _links_out_of_docs(files: Files) -> list[str]:
    targets = []
    for file in files.documentation_pages():
        for link in LINK.findall(file.content_string):
            target = _from_root(file.src_uri, link)
            if target and not target.startswith('docs/') and target not in PAGES:
                targets.append(target)
    return [target for target in targets if Path(target).is_file()]


def _from_root(page: str, link: str) -> str | None:
    """Path from the root of the repository that a link of a page means, None for links inside."""
    from_docs = next((path for path, name in PAGES.items() if name == page), f'docs/{page}')
    target = posixpath.normpath(posixpath.join(posixpath.dirname(from_docs), link))
    leaves = from_docs in PAGES or not target.startswith('docs/')
    return target if leaves else None


def _place_on_site(target: str) -> str:
    if target.startswith('docs/'):
        return target.removeprefix('docs/')
    return PAGES.get(target, f'sources/{target}.txt')


def _as_page(notebook: File, config: MkDocsConfig) -> list[File]:
    """A notebook with its outputs as a page of Markdown, and its pictures."""
    exporter = MarkdownExporter()
    exporter.register_preprocessor(CoalesceStreamsPreprocessor, enabled=True)
    name = posixpath.splitext(notebook.src_uri)[0]
    pictures = f'{posixpath.basename(name)}_pictures'
    content = nbformat.reads(notebook.content_string, as_version=4)
    body, resources = exporter.from_notebook_node(content, dict(output_files_dir=pictures))
    folder = posixpath.dirname(name)
    return [
        File.generated(config, f'{name}.md', content=body),
        *(
            File.generated(config, f'{folder}/{path}', content=data)
            for path, data in resources['outputs'].items()
        ),
    ]
