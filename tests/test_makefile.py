"""What ``make`` runs."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Stands for Python: notes its arguments, a line a call, and leaves what a training leaves.
STUB = """#!/bin/sh
for argument; do printf '<%s>' "$argument" >> calls; done
echo >> calls
case "$1" in tools/train.py) mkdir -p "$4"; printf '%s' "$PWD/$4/epoch_2.pth" > "$4/last_checkpoint" ;; esac
"""


def test_the_demo_in_a_folder_with_a_space(tmp_path):
    folder = tmp_path / 'my clone'
    (folder / 'requirements').mkdir(parents=True)
    (folder / 'requirements' / 'install.sh').touch()
    shutil.copy(ROOT / 'Makefile', folder)
    (folder / 'stub').write_text(STUB)
    (folder / 'stub').chmod(0o755)
    subprocess.run(['make', 'demo', 'PY=./stub'], cwd=folder, env=os.environ, check=True, capture_output=True)
    *_, test = (folder / 'calls').read_text().splitlines()
    run = 'work_dirs/demo/faster_rcnn_r2n50_fpn_coco'
    assert test.startswith(f'<tools/test.py><demo/configs/{Path(run).name}.py><{folder}/{run}/epoch_2.pth><')
