"""The config that trains on one's own data: it inherits a shipped one and states only what differs."""

import os
import re
import shlex
import shutil
import tempfile
from pathlib import Path

from ..config import shipped_configs
from ..errors import UserError, command
from ..files import write_text
from ..lookup import did_you_mean
from .data import Data
from .detection import detector, key_points
from .pixels import WEIGHTS, classifier, saliency, segmenter

METHODS = dict(
    faster_rcnn=('faster_rcnn_{}_fpn_coco', detector),
    mask_rcnn=('mask_rcnn_{}_coco', detector),
    simplebaseline=('simplebaseline_{}_coco', key_points),
    deeplabv3plus=('deeplabv3plus_{}_voc12aug', segmenter),
    dss=('dss_{}_msrab', saliency),
    classify=('imagenet/{}_imagenet', classifier),
)

HEAD = '''\
"""{name} on {root}: images {counts}.

Written by: {called}
Paths are seen from the folder where that was run; run this there, too:
  {train} {config}
  {test} {config} CHECKPOINT --show-dir shown
  {predict} {config} CHECKPOINT PICTURES
"""

# Whatever isn't stated here is as there: network and first weights, augmentation, evaluation.
_base_ = 'res2net_mm::{base}.py'
'''


def backbones(method: str) -> list[str]:
    """The backbones with released weights of which there is a shipped config for a method."""
    pattern = METHODS[method][0].rpartition('/')[2].format('(.+)')
    found = [re.fullmatch(pattern, name) for name in shipped_configs()]
    return [name[1] for name in found if name and (method != 'classify' or name[1] in WEIGHTS)]


def check(method: str, backbone: str, config: Path) -> None:
    """Check what doesn't depend on the data.

    Raises:
        UserError: If there is no such backbone, or if a file or folder would be overwritten.
    """
    known = backbones(method)
    if backbone not in known:
        hint = f'{did_you_mean(backbone, known)}\nThere are: {", ".join(known)}'
        raise UserError(f'{method} has no backbone {backbone}{hint}')
    if config.suffix != '.py':
        raise UserError(f'-o {config}: the name must end in .py')
    for path in (config, config.with_suffix('')):
        if os.path.lexists(path):
            raise UserError(f'{path} is there already: delete it, or give another name: -o NAME.py')


def write(data: Data, method: str, backbone: str, config: Path, called: str) -> list[Path]:
    """Write a config and, in a folder beside it and of its name, the annotations that it needs.

    Args:
        data (Data): What was found.
        method (str): A key of :data:`METHODS`.
        backbone (str): One of :func:`backbones`.
        config (Path): The new file.
        called (str): What its first lines say that it was written by.

    Returns:
        list[Path]: The config, and the folder if there is one.

    Raises:
        UserError: As :func:`check` does.
    """
    check(method, backbone, config)
    folder, base = config.with_suffix(''), METHODS[method][0].format(backbone)
    config.parent.mkdir(parents=True, exist_ok=True)
    files = Path(tempfile.mkdtemp(prefix='.own_data_', dir=config.parent))
    try:
        counts = ', '.join(f'{len(pictures):,} {split}' for split, pictures in data.splits.items())
        about = dict(name=base.rpartition('/')[2], root=data.folder.root, counts=counts, called=called)
        about = {key: str(value).replace('\\', '/').replace('"', "'") for key, value in about.items()}
        about |= {tool: command(tool) for tool in ('train', 'test', 'predict')}
        text = HEAD.format(**about, config=shlex.quote(config.as_posix()), base=base)
        text += METHODS[method][1](data, method, backbone, folder, files)
        written = [config]
        if any(files.iterdir()):
            files.chmod(0o755)
            os.rename(files, folder)
            written.append(folder)
        write_text(config, text)
    finally:
        shutil.rmtree(files, ignore_errors=True)
    return written
