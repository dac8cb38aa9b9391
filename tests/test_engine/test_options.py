"""What the tools' options, and a machine without a GPU, change in a config."""

import os
from types import SimpleNamespace

import pytest
import torch
from forks import free_port
from mmengine.config import Config
from mmengine.device import get_device

from res2net_mm.engine import options
from res2net_mm.engine.runner import prepare
from res2net_mm.errors import UserError


def test_several_processes_on_cpus_have_no_sync_bn():
    norm = dict(type='SyncBN', requires_grad=True)
    cfg = Config(dict(model=dict(backbone=dict(norm_cfg=norm), heads=[dict(norm_cfg=norm)]), sync_bn='torch'))
    options.use_cpus(cfg)
    assert cfg.model.backbone.norm_cfg == cfg.model.heads[0].norm_cfg == dict(type='BN', requires_grad=True)
    assert cfg.sync_bn is None and cfg.model_wrapper_cfg.device_ids is None


LAUNCHED = dict(
    pytorch=dict(RANK='0', LOCAL_RANK='0', WORLD_SIZE='1'),
    slurm=dict(SLURM_PROCID='0', SLURM_LOCALID='0', SLURM_NTASKS='1', SLURM_NODELIST='localhost'),
    mpi=dict(OMPI_COMM_WORLD_RANK='0', OMPI_COMM_WORLD_LOCAL_RANK='0', OMPI_COMM_WORLD_SIZE='1'),
)


@pytest.fixture
def alone(monkeypatch):
    """No launcher's variables, and none that the test leaves."""
    for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT', 'SLURM_JOB_ID'):
        monkeypatch.setenv(name, '')
        monkeypatch.delenv(name)


@pytest.mark.parametrize('launcher', LAUNCHED)
def test_processes_of_all_launchers_are_joined_on_cpus(launcher, alone, monkeypatch):
    monkeypatch.setattr('mmengine.device.utils.DEVICE', 'cpu')
    group = dict(backend='nccl', timeout=60, **({} if launcher == 'slurm' else dict(port=1)))
    cfg = Config(dict(model={}, launcher=launcher, env_cfg=dict(dist_cfg=group)))
    for name, value in LAUNCHED[launcher].items():
        text = f'--launcher {launcher}: .*{name}.* not set; start it by [a-z]+run'
        with pytest.raises(UserError, match=text):
            options.join_processes(cfg)
        monkeypatch.setenv(name, value)
    monkeypatch.setenv('MASTER_ADDR', '127.0.0.1')
    monkeypatch.setenv('MASTER_PORT', free_port())
    options.join_processes(cfg)
    try:
        assert torch.distributed.get_backend() == 'gloo' and torch.distributed.get_world_size() == 1
        assert cfg.env_cfg.dist_cfg == group  # what is written down is for GPUs, too
    finally:
        torch.distributed.destroy_process_group()


def test_jobs_of_slurm_that_share_a_node_meet_at_ports_of_their_own(alone, monkeypatch):
    def port(**variables):
        with monkeypatch.context() as context:
            for name, value in {**LAUNCHED['slurm'], **variables}.items():
                context.setenv(name, value)
            options.join_processes(Config(dict(model={}, launcher='slurm')))
            return os.environ.pop('MASTER_PORT')

    monkeypatch.setattr(options, 'init_dist', lambda *_, **__: None)
    jobs = [dict(SLURM_JOB_ID=job, SLURM_STEP_ID=step) for job in ('4711', '4712') for step in '01']
    assert len({port(**job) for job in jobs}) == 4
    assert port(MASTER_PORT='29511', **jobs[0]) == '29511'


@pytest.mark.parametrize('kind', [{}, dict(type='AmpOptimWrapper', loss_scale='dynamic', dtype='float16')])
def test_amp_on_a_cpu(kind, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    cfg = Config(dict(model={}, optim_wrapper=dict(optimizer=dict(type='SGD'), **kind)))
    options.use_amp(cfg)
    assert cfg.optim_wrapper == dict(optimizer=dict(type='SGD'), type='res2net_mm.CPUAmpOptimWrapper')


def test_amp_on_a_gpu_keeps_what_the_config_says(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    own = dict(type='AmpOptimWrapper', loss_scale=512.0)
    cfg = Config(dict(model={}, optim_wrapper=dict(own)))
    options.use_amp(cfg)
    assert cfg.optim_wrapper == own
    cfg.optim_wrapper = dict(type='ApexOptimWrapper')
    with pytest.raises(UserError, match="--amp can't replace"):
        options.use_amp(cfg)


@pytest.mark.parametrize('found, used', [('mps', 'cpu'), ('cuda', 'cuda'), ('cpu', 'cpu'), ('npu', 'npu')])
def test_apples_gpu_is_not_used(found, used, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr('mmengine.device.utils.DEVICE', found)
    (tmp_path / 'config.py').write_text('model = dict(type="ToyModel")')
    prepare(str(tmp_path / 'config.py'), None, 'none', None)
    assert get_device() == used
    assert ("Apple's GPU" in capsys.readouterr().out) == (found == 'mps')


def test_each_image_has_a_picture_of_its_own(tmp_path):
    paths = ['data/a/b_c.jpg', 'data/a_b/c.jpg', 'data/a/x.jpg', 'data/a/x.jpg']
    drawn = []

    class Dataset(list):
        get_data_info = list.__getitem__

    dataset = Dataset(dict(img_path=path) for path in paths)
    runner = SimpleNamespace(
        visualizer=SimpleNamespace(add_datasample=lambda data_sample, out_file: drawn.append(out_file)),
        model=SimpleNamespace(data_preprocessor=None),
        test_dataloader=SimpleNamespace(dataset=dataset),
        cfg=Config(dict(default_scope='mmdet')),
    )
    options.name_pictures(runner, str(tmp_path / 'shown'))
    for sample in dataset:
        runner.visualizer.add_datasample(data_sample=sample)
    names = ['a_b_c.jpg', '_a_b_c.jpg', 'a_x.jpg', 'a_x.jpg']
    assert drawn == [str(tmp_path / 'shown' / name) for name in names]


def test_the_learning_rate_is_scaled_by_all_images_that_are_accumulated():
    cfg = Config(dict(auto_scale_lr=dict(base_batch_size=16), optim_wrapper=dict(accumulative_counts=4)))
    options.scale_lr(cfg)
    assert cfg.auto_scale_lr == dict(enable=True, base_batch_size=4)  # mmengine knows a batch's alone


def test_predictions_that_were_only_written_are_found_in_any_folder(tmp_path):
    folder = tmp_path / 'a [1]'
    folder.mkdir()
    (folder / 'result.bbox.json').touch()
    metrics = [dict(format_only=True, outfile_prefix=f'{folder}/result'), dict(outfile_prefix=f'{folder}/x')]
    assert options.formatted(Config(dict(test_evaluator=metrics))) == [f'{folder}/result.bbox.json']
