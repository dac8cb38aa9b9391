"""What runs of the tools record of themselves."""

import hashlib
import json
import os
import sys

import torch

from res2net_mm.checkpoints import read_checkpoint
from res2net_mm.results.records import find_runs


def records(work_dir):
    return [json.loads(file.read_text()) for file in sorted(work_dir.glob('*/record.json'))]


def test_a_training_and_a_test_of_it(trained, tiny_config, run, tmp_path):
    work_dir, _ = trained
    (training,) = records(work_dir)
    assert (training['mode'], training['config'], training['options']) == ('train', 'tiny', {})
    assert training['changes'] is None and training['checkpoint'] is None and not training['resumed']
    assert training['progress'] == dict(unit='epoch', reached=1, planned=1)
    folder = f'{tiny_config.parent}/demo/coco/train2017'
    expected = dict(type='CocoDataset', folder=folder, images=6, instances=None, classes=80)
    assert training['data']['train'] == expected
    assert training['data']['val']['images'] == 3 and training['data']['val']['instances'] > 3
    assert (training['images_per_iteration'], training['world_size'], training['seed']) == (2, 1, 0)
    assert (training['dtype'], training['fused'], training['tta']) == ('float32', False, False)
    assert training['started'] < training['finished']
    assert training['versions']['torch'] == torch.__version__
    assert training['versions'].keys() == {'torch', 'mmengine', 'mmcv', 'mmdet', 'res2net_mm'}
    assert 'coco/bbox_mAP_50' in training['metrics'] and 'time' not in training['metrics']

    checkpoint = work_dir / 'epoch_1.pth'
    saved = read_checkpoint(checkpoint)['meta']['record']
    assert saved['progress'] == training['progress'] and saved['metrics'] is None
    assert saved['started'] == training['started']

    options = ('--cfg-options', 'test_dataloader.batch_size=2', 'model.test_cfg.rcnn.nms.iou_threshold=0.4')
    result = run('test.py', tiny_config, checkpoint, '--work-dir', 'run', *options)
    assert result.returncode == 0, result.stderr
    (tested,) = records(tmp_path / 'run')
    assert (tested['mode'], tested['fused'], tested['dtype']) == ('test', True, 'float32')
    assert tested['options'] == {
        'test_dataloader.batch_size': 2,
        'model.test_cfg.rcnn.nms.iou_threshold': 0.4,
    }
    assert tested['checkpoint']['path'] == str(checkpoint) and tested['checkpoint']['training'] == saved
    assert tested['checkpoint']['sha256'] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert tested['data'] == dict(test=training['data']['val'])
    assert tested['parameters'] == training['parameters']  # of the network, not of what it is fused to
    assert not list((tmp_path / 'run').rglob('*.part'))


def test_weights_alone_are_of_an_unknown_training(trained, tiny_config, run, tmp_path):
    state = read_checkpoint(trained[0] / 'epoch_1.pth')['state_dict']
    torch.save(dict(state_dict=state), tmp_path / 'x.pth')
    result = run('test.py', tiny_config, 'x.pth', '--work-dir', 'run', '--no-fuse')
    assert result.returncode == 0, result.stderr
    (tested,) = records(tmp_path / 'run')
    assert tested['checkpoint']['training'] is None and tested['fused'] is False
    (found,), _ = find_runs([tmp_path / 'run'])
    assert found.footnotes == ['of a training that left no record']


def test_a_resumed_training_keeps_what_it_resumed(trained, tiny_config, run, tmp_path):
    work_dir, _ = trained
    options = ('--cfg-options', 'train_cfg.max_epochs=2', 'optim_wrapper.optimizer.lr=0.002')
    result = run('train.py', tiny_config, '--work-dir', 'run', '--resume', work_dir / 'epoch_1.pth', *options)
    assert result.returncode == 0, result.stderr
    result = run(
        'train.py', tiny_config, '--work-dir', 'run', '--resume', '--cfg-options', 'train_cfg.max_epochs=3'
    )
    assert result.returncode == 0, result.stderr
    second, third = records(tmp_path / 'run')
    assert third['resumed'] and third['progress']['reached'] == 3
    assert third['checkpoint']['path'] == str(tmp_path / 'run' / 'epoch_2.pth')
    assert third['checkpoint']['training']['options'] == second['options']
    assert second['options'] == {'train_cfg.max_epochs': 2, 'optim_wrapper.optimizer.lr': 0.002}
    first = third['checkpoint']['training']['checkpoint']['training']
    assert first['options'] == {} and first['progress'] == dict(unit='epoch', reached=1, planned=1)
    saved = read_checkpoint(tmp_path / 'run' / 'epoch_3.pth')['meta']['record']
    assert saved['checkpoint']['training']['checkpoint']['training'] == first


def test_nothing_to_resume_is_a_start(tiny_config, run, tmp_path):
    result = run('train.py', tiny_config, '--work-dir', 'run', '--resume')
    assert result.returncode == 0, result.stderr
    (recorded,) = records(tmp_path / 'run')
    assert recorded['resumed'] is False and recorded['checkpoint'] is None


def test_a_run_that_was_killed(tiny_config, run, tmp_path):
    """Before its first evaluation: it is on record that it began, and there is nothing to believe."""
    (tmp_path / 'killed.py').write_text(
        f"_base_ = '{tiny_config}'\n"
        "custom_imports = dict(imports=['kill'], allow_failed_imports=False)\n"
        "custom_hooks = [dict(type='KillHook')]\n"
    )
    (tmp_path / 'kill.py').write_text(
        'import os, signal\n'
        'from mmengine.hooks import Hook\n'
        'from mmengine.registry import HOOKS\n\n'
        '@HOOKS.register_module()\n'
        'class KillHook(Hook):\n'
        '    def before_val(self, runner):\n'
        '        os.kill(os.getpid(), signal.SIGKILL)\n'
    )
    result = run(
        'train.py', 'killed.py', '--work-dir', 'run', PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path])
    )
    assert result.returncode == -9
    (recorded,) = records(tmp_path / 'run')
    assert recorded['metrics'] is None and recorded['finished'] is None
    assert find_runs([tmp_path / 'run']) == ([], [])
    assert read_checkpoint(tmp_path / 'run' / 'epoch_1.pth')['meta']['record']['progress']['reached'] == 1


def test_changes_to_the_shipped_config_of_the_name(trained, tiny_config, run, tmp_path):
    """A user's copy of a shipped config, by its name."""
    copy = tmp_path / 'faster_rcnn_r2n50_fpn_coco.py'
    copy.write_text(f"_base_ = '{tiny_config}'\n")
    result = run('train.py', copy, '--work-dir', 'run', '--amp', CUDA_VISIBLE_DEVICES='')
    assert result.returncode == 0, result.stderr
    (recorded,) = records(tmp_path / 'run')
    assert recorded['dtype'] == 'bfloat16'
    evaluation, training = recorded['changes']['evaluation'], recorded['changes']['training']
    assert 'model.backbone.base_channels=8, not None' in evaluation
    assert 'dataset.pipeline.1.scale.0=200, not 1333' in evaluation
    assert '2 images per iteration, not 16' in training
    assert "optim_wrapper.type='res2net_mm.CPUAmpOptimWrapper', not 'OptimWrapper'" in training
    assert not any('data_root' in line or 'num_workers' in line for line in evaluation + training)
    result = run('test.py', copy, 'run/epoch_1.pth', '--work-dir', 'tested', '--half')
    assert result.returncode == 0, result.stderr
    (tested,) = records(tmp_path / 'tested')
    assert tested['changes'] == dict(evaluation=evaluation) and tested['dtype'] in ('bfloat16', 'float16')
    assert tested['checkpoint']['training']['changes']['training'] == training


def test_a_config_that_asks_for_it_and_averages_weights(tiny_config, run, tmp_path):
    (tmp_path / 'ema.py').write_text(
        f"_base_ = '{tiny_config}'\n"
        "custom_hooks = [dict(type='EMAHook'), dict(type='res2net_mm.RecordHook')]\n"
    )
    result = run('train.py', 'ema.py', '--work-dir', 'run', '--cfg-options', 'randomness.seed=3')
    assert result.returncode == 0, result.stderr
    (recorded,) = records(tmp_path / 'run')
    assert recorded['seed'] == 3 and recorded['options'] == {'randomness.seed': 3}
    result = run('test.py', 'ema.py', 'run/epoch_1.pth', '--work-dir', 'tested')
    assert result.returncode == 0, result.stderr
    (tested,) = records(tmp_path / 'tested')
    assert tested['fused'] is False and tested['checkpoint']['training']['seed'] == 3
    assert tested['metrics'] == recorded['metrics']  # of the averaged weights, both
