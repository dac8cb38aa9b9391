"""Faulty data end a run with one message; check_data.py decodes everything."""

import json
import shutil

import cv2
import numpy as np
import pytest
from forks import free_port


@pytest.fixture
def faulty(tiny_config, tmp_path):
    """A copy of the small data set, its config, and its training annotations, a function that writes them."""
    demo = tiny_config.parent / 'demo'
    shutil.copytree(demo / 'coco', tmp_path / 'data' / 'coco')
    text = tiny_config.read_text().replace(str(demo), str(tmp_path / 'data'))
    (tmp_path / 'config.py').write_text(text)
    file = tmp_path / 'data/coco/annotations/instances_train2017.json'
    return (
        tmp_path / 'config.py',
        json.loads(file.read_text()),
        lambda data: file.write_text(json.dumps(data)),
    )


def test_faults_end_a_run_before_it_begins(faulty, run, tmp_path):
    config, data, write = faulty
    data['annotations'][0]['bbox'][2] = float('nan')
    data['annotations'][1]['bbox'][2] = 0
    write(data)
    result = run('train.py', config, '--work-dir', 'run')
    assert result.returncode == 2 and 'Traceback' not in result.stderr
    assert "train.py: error: the data can't be used as they are:\ntrain_dataloader.dataset (" in result.stderr
    assert '1 boxes or areas are not finite numbers' in result.stderr
    assert result.stderr.count('1 boxes have no area') == 1
    assert result.stderr.endswith('to go on regardless: --no-check\n') and not (tmp_path / 'run').exists()
    result = run('test.py', config, tmp_path / 'none.pth')  # of another part of the data
    assert 'checkpoint not found' in result.stderr


def test_no_check_and_check_all(faulty, run):
    config, data, write = faulty
    data['images'] += [dict(data['images'][0], id=1000 + i, file_name=f'{i}.jpg') for i in range(400)]
    write(data)
    result = run('train.py', config, '--check-all')
    assert result.returncode == 2 and '400 of 406 files looked for are missing' in result.stderr
    result = run(
        'train.py', config, '--no-check', '--cfg-options', 'train_dataloader.dataset.ann_file=x.json'
    )
    assert result.returncode == 2 and 'data not found' in result.stderr


def test_all_processes_end(faulty, run):
    config, data, write = faulty
    write(dict(data, annotations=[]))
    result = run('dist_train.sh', config, 2, PORT=free_port(), CUDA_VISIBLE_DEVICES='')
    assert result.returncode != 0 and result.stderr.count('none of its 0 annotations is of a class') == 1


def test_check_data_decodes_everything(faulty, run, tmp_path):
    config, data, write = faulty
    result = run('check_data.py', config)
    assert result.returncode == 0, result.stderr
    assert 'errors:\n  none' in result.stdout and '9 images in 2 data sets' in result.stdout
    folder = tmp_path / 'data/coco/train2017'
    cut, small, flipped = sorted(folder.iterdir())[:3]
    cut.write_bytes(cut.read_bytes()[:-300])
    cv2.imwrite(str(small), np.zeros((20, 30, 3), np.uint8))
    content = bytearray(flipped.read_bytes())
    content[-200:-100] = bytes(100)
    flipped.write_bytes(content)
    result = run('check_data.py', config)
    assert result.returncode == 1, result.stderr
    assert f"1 images can't be read: {cut} can't be read: it is damaged or cut off" in result.stdout
    assert '1 images have not the size that the annotations say' in result.stdout
    assert f'{small} is 30 x 20, not ' in result.stdout
    assert f'1 images are damaged, the JPEG decoder guesses what is missing: {flipped}' in result.stdout
    shutil.rmtree(folder)
    result = run('check_data.py', config)
    assert result.returncode == 2 and 'check_data.py: error: data not found' in result.stderr


def test_an_image_that_cannot_be_read_is_named_or_skipped(faulty, run, tmp_path):
    config, data, write = faulty
    bad = tmp_path / 'data/coco/train2017' / data['images'][0]['file_name']
    bad.write_bytes(bad.read_bytes()[:200])
    result = run('train.py', config, '--cfg-options', 'train_dataloader.num_workers=1')
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith(f"train.py: error: {bad} can't be read: it is ")
    load = 'train_dataloader.dataset.pipeline.0'
    options = [f'{load}.type=res2net_mm.LoadImageFromFile', f'{load}.bad_images=skip']
    result = run('train.py', config, '--work-dir', 'run', '--cfg-options', *options)
    assert result.returncode == 0, result.stderr[-3000:]
    file = tmp_path / 'run' / 'skipped_images.txt'
    skipped = f'1 images were skipped, other samples took their places; all are in {file}:\n  {bad}'
    assert result.stdout.count(skipped) == 1


def test_what_one_of_two_processes_cannot_read_is_said(faulty, run, tmp_path):
    config, data, write = faulty
    bad = tmp_path / 'data/coco/train2017' / data['images'][1]['file_name']  # the second process's first
    bad.write_bytes(bad.read_bytes()[:200])
    options = ['train_dataloader.sampler.shuffle=False', 'train_dataloader.batch_size=1']
    result = run(
        'dist_train.sh', config, 2, '--cfg-options', *options, PORT=free_port(), CUDA_VISIBLE_DEVICES=''
    )
    assert result.returncode != 0 and result.stderr.count(f"train.py: error: {bad} can't be read") == 1
