"""Where a checkpoint comes from: a path, an address or a name in a list of MMEngine's."""

import hashlib
import re
from pathlib import Path
from urllib.parse import urlparse

import torch
from mmengine.runner import checkpoint

__all__ = ['check_hash', 'local_path', 'sha256']


def local_path(source: str) -> Path:
    """Path of a file, which is downloaded first if ``source`` is an address.

    Args:
        source (str): A path, an http(s) address, or a name in one of MMEngine's lists:
            ``torchvision://NAME``, ``open-mmlab://NAME`` or ``mmcls://NAME``.

    Returns:
        Path: Path of a local file, which may not exist if ``source`` is a path.

    Raises:
        ConnectionError: If the download fails.
        ValueError: If there are no such weights, or no such kind of address.
    """
    scheme, _, name = source.partition('://')
    if not name:
        return Path(source)
    if scheme in ('http', 'https'):
        return _download(source)
    zoos = dict(torchvision=checkpoint.get_torchvision_models, mmcls=checkpoint.get_mmcls_models)
    zoos |= {'open-mmlab': checkpoint.get_external_models}
    if scheme not in zoos:
        raise ValueError(
            f'{source}: no files are read from {scheme}://; name a path, an http(s) '
            f'address, or weights of {", ".join(f"{zoo}://" for zoo in zoos)}'
        )
    known = zoos[scheme]()
    if name not in known:
        raise ValueError(f'{scheme} has no weights named {name!r}')
    return _download(known[name])


def sha256(path: Path) -> str:
    """SHA-256 of a file as hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def check_hash(path: Path) -> None:
    """Compare a file with the hash in its name, as in ``gfnet-1a2b3c4d.pth``.

    Eight digits that can be a date are no hash.

    Args:
        path (Path): Path of the file; names without a hash pass.

    Raises:
        ValueError: If they differ.
    """
    match = re.search(r'-([0-9a-f]{8,64})$', path.stem)
    if match is None or re.fullmatch(r'(19|20)\d{6}', match[1]):
        return
    found = sha256(path)
    if not found.startswith(match[1]):
        raise ValueError(
            f'checkpoint {path} is not the file that its name promises: its SHA-256 begins with '
            f'{found[: len(match[1])]}; get it again, or rename it if the digits are no SHA-256'
        )


def _download(url: str) -> Path:
    folder = Path(torch.hub.get_dir()) / 'checkpoints'
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / Path(urlparse(url).path).name
    if not path.exists():
        digest = torch.hub.HASH_REGEX.search(path.name)
        try:
            torch.hub.download_url_to_file(url, str(path), digest.group(1) if digest else None)
        except (OSError, RuntimeError) as error:  # no network, or another file than the hash says
            raise ConnectionError(f'cannot download {url}: {error}') from error
    return path
