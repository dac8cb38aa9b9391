import argparse
import os
import shutil

import benchmark
import benchmark_jobs as jobs
import pytest
from benchmark_jobs import AS_MMDET, Job

from res2net_mm.errors import UserError

TINY = dict(depth=(1, 1, 1, 1), base_channels=8, stem_channels=8, base_width=4)


def options(**given):
    defaults = dict(benchmarks=['jobs'], runs=1, threads=1, device='cpu')
    defaults |= dict(shapes=None, json=None, plots=None)
    return argparse.Namespace(**{**defaults, **given})


def test_tools_beside_the_toolboxes_own(tiny_config, tmp_path, monkeypatch, capsys):
    configs = tmp_path / 'configs'
    configs.mkdir(parents=True)
    shutil.copy(tiny_config, configs)
    (tmp_path / 'tools').symlink_to(jobs.ROOT / 'tools')
    (tmp_path / 'data' / 'demo' / 'coco').mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jobs, 'ROOT', tmp_path)
    monkeypatch.setattr(jobs, 'ITERATIONS', {'train.py': 2, 'test.py': 1})
    listed = {
        'test.py': [
            Job('our Tiny', 'res2net_mm', 'test.py', AS_MMDET),
            Job('gone', 'no_such', 'test.py', {}),
        ],
        'train.py': [Job("mmdet's Tiny", 'mmdet', 'train.py', AS_MMDET)],
    }
    gone = {'test.py': [Job("gone's", 'no_such', 'test.py', {}), Job('our', 'res2net_mm', 'test.py', {})]}
    monkeypatch.setattr(jobs, 'JOBS', {'tiny': listed, 'no config': gone})
    benchmark.main(options(benchmarks=['coco-jobs']))
    printed = capsys.readouterr().out
    assert 'coco-jobs: test.py on tiny, an iteration of 8 images' in printed and 'left out: gone' in printed
    assert "left out: gone's, our" in printed  # which needs the same toolbox
    assert 'train.py on tiny, an iteration of 2 images' in printed and 'images a second' in printed
    assert os.listdir(tmp_path / 'data' / 'demo') == ['coco'] and not (tmp_path / 'work_dirs').exists()


def test_a_job_that_fails(tmp_path):
    broken = tmp_path / 'broken.py'
    broken.write_text("model = dict(type='Nothing')")
    with pytest.raises(UserError, match='broken failed:\n(.|\n)*Nothing'):
        jobs.run(Job('broken', 'res2net_mm', 'train.py', {}), broken, options())


def test_every_config_is_there():
    for config in jobs.JOBS:
        for folder in jobs.FOLDERS.values():
            assert (jobs.ROOT / folder / f'{config}.py').is_file()


def test_nothing_but_images_and_annotations_is_needed():
    cfg = jobs.untrained(jobs.read('coco-jobs', 'simplebaseline_r2n50_coco'))
    assert cfg.model.backbone.init_cfg is None
    assert 'bbox_file' not in cfg.test_dataloader.dataset and 'bbox_file' not in cfg.val_dataloader.dataset


def test_each_of_ours_has_a_baseline():
    for tools in jobs.JOBS.values():
        for tool, listed in tools.items():
            names = {job.name for job in listed}
            ours = [job for job in listed if job.toolbox == 'res2net_mm']
            assert len(ours) == {'test.py': 5, 'train.py': 6}[tool]
            assert {job.baseline for job in ours} <= names - {job.name for job in ours}
