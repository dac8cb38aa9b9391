import hashlib
import os
import re
import stat
import sys

import pytest
import torch
from forks import free_port
from helpers import COMPILED_OPS, ENVIRONMENT, GPU
from mmengine.config import Config
from test_recorded_runs import records

from res2net_mm.checkpoints import read_checkpoint
from res2net_mm.results.curves import read_scalars


def dumped(work_dir):
    """The config that a run wrote down."""
    return Config.fromfile(next(work_dir.glob('*.py')))


def test_trains_evaluates_and_says_where_things_are(trained):
    work_dir, printed = trained
    train, val = read_scalars(work_dir)
    assert [r['step'] for r in train] == [1, 2, 3]
    assert {'coco/bbox_mAP', 'coco/bbox_mAP_50', 'coco/bbox_AR@100'} < val[0].keys()
    assert (work_dir / 'epoch_1.pth').exists() and (work_dir / 'curves.png').exists()
    assert f'Checkpoint: {work_dir}/epoch_1.pth' in printed
    assert 'Average Precision  (AP) @[ IoU=0.50:0.95' in printed


def test_resumes_from_the_last_checkpoint(trained, tiny_config, run, tmp_path):
    work_dir, _ = trained
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run' / 'epoch_1.pth').write_bytes((work_dir / 'epoch_1.pth').read_bytes())
    (tmp_path / 'run' / 'last_checkpoint').write_text(str(tmp_path / 'run' / 'epoch_1.pth'))
    pretrained = 'model.backbone.init_cfg.type=Pretrained', 'model.backbone.init_cfg.checkpoint=gone.pth'
    result = run('train.py', tiny_config, '--work-dir', tmp_path / 'run', '--resume',
                 '--cfg-options', 'train_cfg.max_epochs=2', *pretrained)  # fmt: skip
    assert result.returncode == 0, result.stderr  # what the checkpoint fills needs no pretrained weights
    assert 'resumed epoch: 1, iter: 3' in result.stdout
    train, _ = read_scalars(tmp_path / 'run')
    assert [r['step'] for r in train] == [4, 5, 6]


def test_resumes_from_a_given_checkpoint_and_takes_options(trained, tiny_config, run, tmp_path):
    work_dir, _ = trained
    result = run('train.py', tiny_config, '--resume', work_dir / 'epoch_1.pth', '--auto-scale-lr',
                 '--cfg-options', 'train_cfg.max_epochs=2', 'optim_wrapper.optimizer.lr=0.002')  # fmt: skip
    assert result.returncode == 0, result.stderr
    default = tmp_path / 'work_dirs' / 'tiny'
    train, _ = read_scalars(default)
    assert [r['step'] for r in train] == [4, 5, 6]
    cfg = dumped(default)
    assert cfg.auto_scale_lr.enable and cfg.optim_wrapper.optimizer.lr == 0.002
    assert re.search(r'Scaling the original LR by 0.5', result.stdout)


def test_resuming_a_missing_checkpoint(tiny_config, run, tmp_path):
    result = run('train.py', tiny_config, '--resume', 'gone.pth')
    assert result.returncode == 2
    assert f'train.py: error: checkpoint not found: {tmp_path}/gone.pth' in result.stderr
    assert 'Traceback' not in result.stderr


@pytest.mark.parametrize('by', [['--amp'], ['--cfg-options', 'optim_wrapper.type=AmpOptimWrapper']], ids=str)
@pytest.mark.parametrize(
    'device,wrapper',
    [
        pytest.param(
            'cpu',
            'res2net_mm.CPUAmpOptimWrapper',
            marks=pytest.mark.skipif(COMPILED_OPS, reason="mmcv's compiled ops have no bfloat16 on a CPU"),
        ),
        pytest.param('cuda', 'AmpOptimWrapper', marks=GPU),
    ],
)
def test_amp_trains_in_bfloat16_on_a_cpu_and_in_float16_on_a_gpu(
    by, device, wrapper, tiny_config, run, tmp_path
):
    result = run('train.py', tiny_config, '--work-dir', tmp_path / 'run', *by, **ENVIRONMENT[device])
    assert result.returncode == 0, result.stderr
    assert dumped(tmp_path / 'run').optim_wrapper.type == wrapper
    train, _ = read_scalars(tmp_path / 'run')
    assert len(train) == 3 and all(r['loss'] == r['loss'] < 100 for r in train)
    state = read_checkpoint(tmp_path / 'run' / 'epoch_1.pth')['state_dict']
    assert not {torch.bfloat16, torch.float16} & {
        v.dtype for v in state.values()
    }  # the weights stay in float32


def test_channels_last(trained, tiny_config, run, tmp_path):
    result = run('train.py', tiny_config, '--work-dir', tmp_path / 'run', '--channels-last')
    assert result.returncode == 0, result.stderr
    (ours, _), (theirs, _) = read_scalars(tmp_path / 'run'), read_scalars(trained[0])
    for a, b in zip(ours, theirs, strict=True):
        assert abs(a['loss'] - b['loss']) < 1e-2 * b['loss']
    state = read_checkpoint(tmp_path / 'run' / 'epoch_1.pth')['state_dict']
    weight = state['backbone.layer1.0.convs.0.weight']
    assert weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize('options', [[], ['--amp'], ['--channels-last']], ids=str)
@pytest.mark.parametrize('device', [pytest.param('cuda', marks=GPU)])
def test_cuda_graphs_learn_the_same(options, device, tiny_config, run, tmp_path):
    losses = []
    for name, more in (('graphs', ['--cuda-graph']), ('eager', [])):
        more += ['--cfg-options', 'train_cfg.max_epochs=3', *options]
        result = run('train.py', tiny_config, '--work-dir', tmp_path / name, *more)
        assert result.returncode == 0, result.stderr
        assert 'could not be captured' not in result.stderr
        losses.append([record['loss'] for record in read_scalars(tmp_path / name)[0]])
    assert losses[0] == pytest.approx(losses[1], rel=5e-2)


def test_cuda_graphs_need_a_gpu(tiny_config, run):
    result = run('train.py', tiny_config, '--cuda-graph', CUDA_VISIBLE_DEVICES='')
    assert result.returncode == 2 and 'error: --cuda-graph needs a GPU' in result.stderr


def test_two_processes_share_a_released_file_and_learn_from_the_images_of_both(tiny_config, run, tmp_path):
    from res2net_mm.checkpoints import RELEASED
    from res2net_mm.models import Res2Net

    network = Res2Net(depth=(1, 1, 1, 1), base_channels=8, stem_channels=8, base_width=4)
    torch.save(network.state_dict(), tmp_path / 'file.pth')
    digest = hashlib.sha256((tmp_path / 'file.pth').read_bytes()).hexdigest()
    hub = tmp_path / 'hub' / 'hub' / 'checkpoints'
    hub.mkdir(parents=True)
    file = hub / f'res2net50_26w_4s-{RELEASED["res2net50_26w_4s"]}.pth'
    (tmp_path / 'file.pth').rename(file)
    options = ('--work-dir', tmp_path / 'run', '--cfg-options', 'model.backbone.init_cfg.type=Pretrained',
               'model.backbone.init_cfg.checkpoint=res2net://res2net50_26w_4s',
               'optim_wrapper.accumulative_counts=3')  # fmt: skip
    environment = dict(PORT=free_port(), CUDA_VISIBLE_DEVICES='', TORCH_HOME=str(tmp_path / 'hub'))
    result = run('dist_train.sh', tiny_config, 2, *options, **environment)
    assert result.returncode != 0
    assert result.stderr.count('is damaged: its SHA-256 begins with') == 1  # not the authors', and said once
    site = tmp_path / 'site'
    site.mkdir()
    (site / 'sitecustomize.py').write_text(
        f"import res2net_mm.checkpoints as c; c.RELEASED['res2net50_26w_4s'] = '{digest[:8]}'\n"
    )
    file.rename(hub / f'res2net50_26w_4s-{digest[:8]}.pth')
    environment = {**environment, 'PORT': free_port(), 'PYTHONPATH': os.pathsep.join([str(site), *sys.path])}
    result = run('dist_train.sh', tiny_config, 2, *options, **environment)
    assert result.returncode == 0, result.stderr[-3000:]
    assert 'parameters and statistics from res2net://res2net50_26w_4s' in result.stdout
    (recorded,) = records(tmp_path / 'run')
    assert recorded['world_size'] == 2 and recorded['images_per_iteration'] == 12  # 2 of 2, by 3
    assert recorded['parameters']['backbone'] < recorded['parameters']['model']


def test_slurm_scripts_ask_for_what_they_are_told(run, tmp_path):
    srun = tmp_path / 'bin' / 'srun'
    srun.parent.mkdir()
    srun.write_text('#!/bin/sh\necho "$@"\n')
    srun.chmod(srun.stat().st_mode | stat.S_IEXEC)
    path = f'{srun.parent}:{os.environ["PATH"]}'
    result = run('slurm_train.sh', 'part', 'job', 'c.py', '--amp', PATH=path, GPUS='16', SRUN_ARGS='-x n1')
    assert '-p part --job-name=job --gres=gpu:8 --ntasks=16 --ntasks-per-node=8' in result.stdout
    assert '-x n1' in result.stdout
    assert result.stdout.strip().endswith('train.py c.py --launcher slurm --amp')
    result = run('slurm_test.sh', 'part', 'job', 'c.py', 'x.pth', PATH=path, GPUS='4')
    assert '--gres=gpu:4 --ntasks=4' in result.stdout
    assert result.stdout.strip().endswith('test.py c.py x.pth --launcher slurm')
    for tool in ('slurm_train.sh', 'slurm_test.sh', 'dist_train.sh', 'dist_test.sh'):
        result = run(tool, 'c.py')
        assert result.returncode == 2 and 'usage: ' in result.stderr


def test_errors_of_the_user_come_without_a_traceback(tiny_config, run):
    for options, message in (
        (['model.backbone.dept=50'], "model.backbone has no 'dept'; did you mean model.backbone.depth?"),
        (['model.neck.type=FNP'], "model.neck.type = 'FNP'; did you mean RFP or FPN"),
        (['train_dataloader.dataset.data_root=data/coco/'], 'data not found'),
        (['optim_wrapper.optimizer.lr=abc'], 'lr=abc: it must be a number, such as '),
        (['model.backbone.depth=34'], 'Res2Net: depth=34: there is no such network; take 50'),
    ):
        result = run('train.py', tiny_config, '--cfg-options', *options)
        assert result.returncode == 2, result.stderr
        assert message in result.stderr and 'Traceback' not in result.stderr
    result = run('train.py', 'nothing.py')
    assert result.returncode == 2 and 'config not found' in result.stderr


def test_a_mismatched_checkpoint_is_explained_without_a_traceback(tiny_config, run, tmp_path):
    from res2net_mm.models import Res2Net

    network = Res2Net(depth=(1, 1, 1, 1), base_channels=8, stem_channels=8, base_width=4, scales=3)
    torch.save(network.state_dict(), tmp_path / 'other.pth')
    result = run('train.py', tiny_config, '--cfg-options', 'model.backbone.init_cfg.type=Pretrained',
                 f'model.backbone.init_cfg.checkpoint={tmp_path}/other.pth')  # fmt: skip
    assert result.returncode == 2
    assert 'it has scales=3, the model has scales=4' in result.stderr and 'Traceback' not in result.stderr


def test_without_data_workers_their_options_are_left_out(tiny_config, run, tmp_path):
    options = ['persistent_workers=True', 'prefetch_factor=4', 'timeout=60']
    result = run('train.py', tiny_config, '--work-dir', tmp_path / 'run', '--cfg-options',
                 *(f'train_dataloader.{option}' for option in options))  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]


def test_errors_inside_the_framework_keep_their_traceback(tiny_config, run):
    result = run('train.py', tiny_config, '--cfg-options', 'model.neck.num_outs=2')
    assert result.returncode == 1
    assert 'Traceback' in result.stderr and 'AssertionError' in result.stderr


def test_a_runner_of_another_type_is_refused(tiny_config, run, tmp_path):
    (tmp_path / 'fsdp.py').write_text(
        f"_base_ = '{tiny_config}'\nrunner_type = 'FlexibleRunner'\nstrategy = dict(type='FSDPStrategy')\n"
    )
    result = run('train.py', 'fsdp.py')
    assert result.returncode == 2 and 'error: runner_type and strategy are not heeded' in result.stderr


def test_compiling_needs_a_compiler(run, tiny_config, tmp_path):
    result = run('train.py', tiny_config, '--compile', PATH=str(tmp_path), CXX='')
    assert result.returncode == 2 and 'error: --compile needs a C++ compiler' in result.stderr


def test_a_checkpoint_of_another_model_is_not_resumed(trained, tiny_config, run):
    """mmengine would load what fits, and the optimizer crash on the rest."""
    work_dir, _ = trained
    options = ['--cfg-options', 'train_cfg.max_epochs=2', 'model.backbone.base_width=8']
    result = run('train.py', tiny_config, '--resume', work_dir / 'epoch_1.pth', *options)
    assert result.returncode == 2, result.stderr
    assert "epoch_1.pth is not of this config's model" in result.stderr and 'Traceback' not in result.stderr
