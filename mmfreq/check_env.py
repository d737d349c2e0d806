"""Report what is installed, what fits and what does not: ``python -m mmfreq.check_env``."""

import argparse
import importlib
import importlib.util
import platform
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

__all__ = ['Finding', 'check_environment', 'main']

# Module, distribution of the maintained OneDL line, OpenMMLab's own distribution, lowest version.
STACK = (
    ('mmengine', 'onedl-mmengine', 'mmengine', '0.10.12'),
    ('mmcv', 'onedl-mmcv', 'mmcv', '2.3.6'),
    ('mmdet', 'onedl-mmdetection', 'mmdet', '3.5.1'),
    ('mmseg', 'onedl-mmsegmentation', 'mmsegmentation', '1.4.2'),
    ('mmpretrain', 'onedl-mmpretrain', 'mmpretrain', '1.3.6'),
)
REBUILD = 'run `make setup`, which builds it for this torch, or see the README on installation'


class Finding(NamedTuple):
    """One line of the report: a component, what was found, and the fix if it is broken."""

    name: str
    found: str
    fix: str = ''


def check_environment() -> list[Finding]:
    """Examine the running environment.

    Returns:
        list[Finding]: One entry per component; those with a ``fix`` are broken.
    """
    findings = [_check_python(), _check_import('torch', 'pip install torch==2.11.0')]
    findings.append(_check_import('torchvision', 'install the torchvision release for this torch'))
    findings += [_check_distribution(*row) for row in STACK]
    findings.append(_check_operators())
    findings.append(_check_import('fvcore', 'pip install fvcore'))
    if not findings[1].fix:
        findings.append(_check_devices())
    return findings


def main() -> int:
    """Print the report.

    Returns:
        int: Exit status, 0 when everything fits and 1 otherwise.
    """
    parser = argparse.ArgumentParser(
        description='Print what is installed, what fits and what does not, each with the fix. '
        'Exits with 1 when something is broken.',
        epilog='example: mmfreq check or python -m mmfreq.check_env',
    )
    parser.parse_args()
    findings = check_environment()
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        print(f'{"BROKEN" if finding.fix else "ok":6}  {finding.name:{width}}  {finding.found}')
        if finding.fix:
            print(f'{"":6}  {"":{width}}  fix: {finding.fix}')
    broken = sum(bool(finding.fix) for finding in findings)
    print(f'{broken} of {len(findings)} checks failed' if broken else 'everything fits together')
    return 1 if broken else 0


def _check_python() -> Finding:
    fix = '' if sys.version_info >= (3, 10) else 'use Python 3.10 or newer'
    return Finding('python', platform.python_version(), fix)


def _check_import(module: str, fix: str) -> Finding:
    error = _import_error(module)
    if error:
        return Finding(module, error, fix)
    return Finding(module, getattr(importlib.import_module(module), '__version__', 'installed'))


def _check_distribution(module: str, onedl: str, openmmlab: str, lowest: str) -> Finding:
    both = [name for name in (onedl, openmmlab) if _version(name)]
    if not both:
        return Finding(module, 'not installed', f"pip install '{onedl}>={lowest}'")
    if len(both) == 2:
        return Finding(
            module,
            f'{both[0]} and {both[1]} are both installed and overwrite each other',
            f"pip uninstall {onedl} {openmmlab}, then pip install '{onedl}>={lowest}'",
        )
    found = f'{both[0]} {_version(both[0])}'
    error = _import_error(module)
    if error:
        return Finding(
            module, f'{found}: {error}', f"pip install --force-reinstall '{onedl}>={lowest}'"
        )
    if both[0] == openmmlab:
        return Finding(module, f'{found}; tests run with {onedl} {lowest}')
    if _numbers(_version(onedl)) < _numbers(lowest):
        return Finding(module, found, f"pip install --upgrade '{onedl}>={lowest}'")
    return Finding(module, found)


def _check_operators() -> Finding:
    if not (_version('onedl-mmcv') or _version('mmcv')):
        return Finding('mmcv.ops', 'mmcv is not installed', REBUILD)
    if importlib.util.find_spec('mmcv._ext') is None:
        return Finding('mmcv.ops', 'mmcv was built without its operators', REBUILD)
    error = _import_error('mmcv.ops')
    if error:
        kind = 'built for another torch: ' if 'undefined symbol' in error else ''
        return Finding('mmcv.ops', kind + error, REBUILD)
    error = _error_of(_run_operator)
    return Finding('mmcv.ops', error or 'built and working', REBUILD if error else '')


def _run_operator() -> None:
    import torch
    from mmcv.ops import nms

    boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 2.1]])
    kept, _ = nms(boxes, torch.tensor([0.9, 0.8]), 0.5)
    if len(kept) != 1:
        raise RuntimeError('nms gives a wrong result')


def _check_devices() -> Finding:
    import torch

    count = torch.cuda.device_count()
    names = sorted({torch.cuda.get_device_name(i) for i in range(count)})
    return Finding('devices', f'{count} x {", ".join(names)}' if count else 'CPU only')


def _import_error(module: str) -> str:
    return _error_of(lambda: importlib.import_module(module))


def _error_of(action: Callable[[], object]) -> str:
    try:
        action()
    except Exception as error:  # a broken binary raises whatever it likes at import
        lines = str(error).splitlines() or ['']
        return f'{type(error).__name__}: {lines[0]}'
    return ''


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ''


def _numbers(text: str) -> tuple[int, ...]:
    parts = (part for part in text.split('+')[0].split('.') if part.isdigit())
    return tuple(int(part) for part in parts)


if __name__ == '__main__':
    sys.exit(main())
