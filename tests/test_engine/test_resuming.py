"""Trainings that are cut off: nothing is lost, and going on gives what not stopping would have given."""

import json
import logging
import os
import signal
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils._pytree import tree_flatten
from toy import CutHook, toy_config, train_toy

from res2net_mm.checkpoints import CheckpointError, fetch, read_checkpoint
from res2net_mm.engine import runner as tools
from res2net_mm.engine.safe_runner import SafeRunner
from res2net_mm.engine.saving import find_checkpoint, lock
from res2net_mm.errors import Interrupted, UserError

ITERATIONS = dict(type='CheckpointHook', interval=2, by_epoch=False)  # in the middle of epochs, too
BEST = dict(type='CheckpointHook', interval=1, save_best='score', rule='greater', max_keep_ckpts=1)
CASES = {
    'epochs': {},
    'within epochs': dict(save=ITERATIONS),
    'iterations': dict(by_epoch=False),
    'iterations over a finite sampler': dict(by_epoch=False, sampler='DefaultSampler'),
    'accumulated gradients': dict(accumulate=4),
    'EMA': dict(ema=True, save=ITERATIONS),
    'the best checkpoint': dict(save=BEST),
    'all at once': dict(save=ITERATIONS, ema=True, accumulate=4),
}


class SignalHook(Hook):
    """Send this process a signal."""

    def __init__(self, iteration, number=signal.SIGTERM, point='iter'):
        self.iteration, self.number, self.point = iteration, number, point

    def before_train_iter(self, runner, *args, **kwargs):
        if self.point == 'iter' and runner.iter + 1 == self.iteration:
            os.kill(os.getpid(), self.number)

    def before_val_iter(self, runner, *args, **kwargs):
        if self.point == 'val' and runner.iter >= self.iteration:
            os.kill(os.getpid(), self.number)


def checkpoints(work_dir):
    return sorted(path.name for path in work_dir.glob('*.pth'))


def last(work_dir):
    return read_checkpoint(find_checkpoint(work_dir)[0])


def assert_equal(first, second):
    """Two trainings' last checkpoints hold the same, but for the times."""
    a, b = last(first), last(second)
    for key in ('state_dict', 'optimizer', 'param_schedulers', 'ema_state_dict', 'gradients'):
        values, structure = tree_flatten(a.get(key))
        others, other_structure = tree_flatten(b.get(key))
        assert structure == other_structure
        assert all(torch.equal(x, y) if torch.is_tensor(x) else x == y for x, y in zip(values, others))
    scores = [c['message_hub']['runtime_info'].get('best_score') for c in (a, b)]
    assert scores[0] == scores[1] and a['meta']['iter'] == b['meta']['iter']
    assert checkpoints(first) == checkpoints(second)


@pytest.mark.parametrize('case', CASES)
def test_a_resumed_training_equals_an_uninterrupted_one(case, tmp_path):
    train_toy(toy_config(tmp_path / 'whole', **CASES[case]))
    seed = last(tmp_path / 'whole')['meta']['seed']  # drawn, as in the shipped configs
    for number, cut in enumerate((('iter', 5), ('iter', 16), ('val', 21))):
        work_dir = tmp_path / str(number)
        train_toy(toy_config(work_dir, **CASES[case], randomness=dict(seed=seed)), hooks=[CutHook(*cut)])
        train_toy(toy_config(work_dir, **CASES[case]), resume=find_checkpoint(work_dir)[0] is not None)
        if find_checkpoint(work_dir)[0] and last(work_dir)['meta']['seed'] == seed:
            assert_equal(tmp_path / 'whole', work_dir)
        else:
            assert cut == ('iter', 5)  # before there was a checkpoint


def test_initial_weights_are_left_out_only_where_a_checkpoint_is_to_come(tmp_path):
    calls = []

    class CountHook(Hook):
        def before_run(self, runner):
            runner.model.init_weights = lambda: calls.append(runner.work_dir)

    train_toy(toy_config(tmp_path / 'a'), hooks=[CountHook()])
    train_toy(toy_config(tmp_path / 'a', train_cfg=dict(by_epoch=True, max_epochs=4)), True, [CountHook()])
    train_toy(toy_config(tmp_path / 'b', resume=True), hooks=[CountHook()])  # where mmengine finds none
    assert calls == [str(tmp_path / 'a'), str(tmp_path / 'b')]


def test_with_data_workers(tmp_path):
    options = dict(save=ITERATIONS, randomness=dict(seed=1))
    whole = train_toy(toy_config(tmp_path / 'whole', **options))
    train_toy(toy_config(tmp_path / 'cut', workers=2, **options), hooks=[CutHook('iter', 11)])
    train_toy(toy_config(tmp_path / 'cut', workers=1, **options), resume=True)
    assert_equal(tmp_path / 'whole', tmp_path / 'cut')
    seen = whole.model.seen[:7]
    assert sorted(sum(seen, [])) == list(range(20))  # an epoch has every sample once


@pytest.mark.parametrize('point', ['iter', 'val'])
@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_saves_and_ends(number, point, tmp_path):
    options = dict(ema=True, accumulate=4, randomness=dict(seed=1))
    train_toy(toy_config(tmp_path / 'whole', **options))
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match=f'{number.name}: saved .*interrupted.pth') as raised:
        train_toy(toy_config(tmp_path / 'cut', **options), hooks=[SignalHook(11, number, point)])
    assert raised.value.code == 75
    assert last(tmp_path / 'cut')['meta']['iter'] == (11 if point == 'iter' else 14)
    assert signal.getsignal(number) == before and signal.alarm(0) == 0
    train_toy(toy_config(tmp_path / 'cut', **options), resume=True)
    assert_equal(tmp_path / 'whole', tmp_path / 'cut')


def test_a_runner_of_ones_own_is_guarded_too(tmp_path):
    guard = [dict(type='res2net_mm.GuardHook')]
    runner = Runner.from_cfg(toy_config(tmp_path, custom_hooks=guard))
    runner.register_hook(SignalHook(11))
    with pytest.raises(Interrupted, match='SIGTERM: saved .*interrupted.pth; --resume goes on'):
        runner.train()
    runner = Runner.from_cfg(toy_config(tmp_path, custom_hooks=guard, resume=True))
    runner.load_or_resume()
    assert runner.iter == 11
    runner.train()
    assert last(tmp_path)['meta']['epoch'] == 3
    with pytest.raises(UserError, match=f'The last good checkpoint is {tmp_path}/b/epoch_1.pth'):
        Runner.from_cfg(toy_config(tmp_path / 'b', custom_hooks=guard, spoil=[9])).train()


@pytest.mark.parametrize('cut', [7, 21])
def test_a_cut_evaluation_is_made_up_for_once(cut, tmp_path):
    class Scores(Hook):
        def after_val_epoch(self, runner, metrics=None):
            scores.append(runner.epoch)

    scores = []
    train_toy(toy_config(tmp_path), hooks=[CutHook('val', cut)])
    train_toy(toy_config(tmp_path), resume=True, hooks=[Scores()])
    assert scores == list(range(cut // 7, 4))
    for number, record in enumerate(list(tmp_path.glob('*/record.json'))):  # they aren't of the same second
        record.parent.rename(tmp_path / f'earlier_{number}')
    train_toy(toy_config(tmp_path), resume=True, hooks=[Scores()])
    assert scores == list(range(cut // 7, 4))


def test_the_newest_whole_checkpoint_is_found(tmp_path):
    train_toy(toy_config(tmp_path))
    (tmp_path / 'last_checkpoint').write_text('')  # torn
    assert find_checkpoint(tmp_path) == (tmp_path / 'epoch_3.pth', [])
    data = bytearray((tmp_path / 'epoch_3.pth').read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / 'epoch_3.pth').write_bytes(data)
    (tmp_path / 'epoch_2.pth').write_bytes(data[: len(data) // 3])
    path, problems = find_checkpoint(tmp_path)
    assert path == tmp_path / 'epoch_1.pth'
    assert sorted(p.split(' ')[0] for p in problems) == [f'{tmp_path}/epoch_2.pth', f'{tmp_path}/epoch_3.pth']
    assert find_checkpoint(tmp_path / 'nothing') == (None, [])


def test_nothing_is_written_over_checkpoints_of_which_none_is_whole(tmp_path):
    train_toy(toy_config(tmp_path, save=dict(type='CheckpointHook', interval=3)))
    (tmp_path / 'epoch_3.pth').write_bytes(b'')
    with pytest.raises(UserError, match=r'no checkpoint is whole:\npassed over: .*epoch_3.pth'):
        train_toy(toy_config(tmp_path), resume=True)


@pytest.mark.parametrize(
    'change, words',
    [
        (lambda c: c.pop('optimizer'), 'is no checkpoint that a training goes on from'),
        (lambda c: c['meta'].clear(), 'is no checkpoint that a training goes on from'),
        (lambda c: c['optimizer'].update(param_groups=[]), 'is of another training.*parameter groups'),
    ],
)
def test_checkpoints_that_no_training_goes_on_from(change, words, tmp_path):
    train_toy(toy_config(tmp_path / 'run'))
    content = last(tmp_path / 'run')
    change(content)
    torch.save(content, tmp_path / 'odd.pth')
    cfg = toy_config(tmp_path / 'other')
    with pytest.raises(UserError, match=words):
        tools.resume_from(cfg, str(tmp_path / 'odd.pth'))
        SafeRunner.from_cfg(cfg).train()


@pytest.mark.parametrize('by_epoch, said', [(True, 'epoch 3 of 3'), (False, 'iter 21 of 21')])
def test_that_nothing_is_left_to_train_is_said(by_epoch, said, tmp_path, capsys):
    train_toy(toy_config(tmp_path, by_epoch), hooks=[CutHook('iter', 15)])
    runner = train_toy(toy_config(tmp_path, by_epoch), resume=True)
    assert runner.iter == 21 and 'nothing is left' not in capsys.readouterr().out
    assert train_toy(toy_config(tmp_path, by_epoch), resume=True).model.seen == []
    limit = 'max_epochs' if by_epoch else 'max_iters'
    text = f'nothing is left to train: {said}; to train on: --cfg-options train_cfg.{limit}=...\n'
    assert text in capsys.readouterr().out


def test_an_address_of_a_storage_is_to_be_downloaded(tmp_path):
    with pytest.raises(UserError, match='^s3://bucket/epoch_1.pth: download it first; only http'):
        tools.resume_from(toy_config(tmp_path), 's3://bucket/epoch_1.pth')


def test_another_batch_size_is_said(tmp_path):
    train_toy(toy_config(tmp_path), hooks=[CutHook('iter', 9)])
    cfg = toy_config(tmp_path)
    cfg.train_dataloader.batch_size = 5
    runner = train_toy(cfg, resume=True)
    log = next(path for path in Path(runner.log_dir).glob('*.log'))
    assert '5 images per iteration, 3 before the training was cut off' in log.read_text()


def test_an_interruption_that_a_formatter_swallowed_is_one(monkeypatch):
    def swallowed(cfg, **_):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise SyntaxError('Failed to format the config file')  # noqa: B904

    def wrong(cfg, **_):
        raise SyntaxError('x')

    def train(run):
        tools.main(run, 'x.py', None, 'pytorch', None, local_rank=None)

    monkeypatch.setattr(tools, 'prepare', lambda *_: None)
    monkeypatch.setattr(logging.getLogger('faster_coco_eval'), 'handlers', [])
    with pytest.raises(KeyboardInterrupt):
        train(swallowed)
    with pytest.raises(SyntaxError, match='x'):
        train(wrong)
    monkeypatch.setenv('LOCAL_RANK', '1')  # of several processes the first says it
    with pytest.raises(SystemExit, match='130'):
        train(swallowed)


@pytest.mark.parametrize('message', ['x' * 9000, '\udce9.jpg'])  # longer than keys are; not UTF-8
def test_what_several_processes_meet_is_shown_once(message, tmp_path, monkeypatch):
    def fail(cfg, **_):
        raise UserError(message)

    monkeypatch.setattr(tools, 'prepare', lambda *_: None)
    monkeypatch.setattr(logging.getLogger('faster_coco_eval'), 'handlers', [])
    store = torch.distributed.TCPStore('localhost', 0, is_master=True)
    torch.distributed.init_process_group('gloo', store=store, rank=0, world_size=1)
    try:
        for error in (UserError, SystemExit):
            with pytest.raises(error):
                tools.main(fail, 'x.py', None, 'none', None, local_rank=None)
    finally:
        torch.distributed.destroy_process_group()


def test_without_a_launcher_each_process_is_on_its_own(monkeypatch, capsys):
    def number(cfg, **_):
        print(tools.first_process(), tools.local_rank())

    monkeypatch.setattr(tools, 'prepare', lambda *_: None)
    monkeypatch.setattr(logging.getLogger('faster_coco_eval'), 'handlers', [])
    for name in ('SLURM_PROCID', 'SLURM_LOCALID', 'SLURM_STEP_NUM_TASKS'):
        monkeypatch.setenv(name, '2')
    tools.main(number, 'x.py', None, 'slurm', None, local_rank=None)
    assert capsys.readouterr() == ('False 2\n', '')
    tools.main(number, 'x.py', None, 'none', None, local_rank=None)
    said = '2 of these run, each by itself: --launcher slurm joins them\n'
    assert capsys.readouterr() == ('True 0\n', said)


def test_the_last_checkpoint_of_a_moved_folder(tmp_path):
    (tmp_path / 'last_checkpoint').write_text('/gone/epoch_1.pth')
    assert tools.last_checkpoint(tmp_path) == '/gone/epoch_1.pth'
    (tmp_path / 'epoch_1.pth').touch()
    assert tools.last_checkpoint(tmp_path) == str(tmp_path / 'epoch_1.pth')
    with pytest.raises(CheckpointError, match=f'is no checkpoint; its last one is {tmp_path}/epoch_1.pth'):
        fetch(tmp_path)


def test_resuming_in_a_copy_leaves_the_original_alone(tmp_path):
    import shutil

    train_toy(toy_config(tmp_path / 'a', save=BEST), hooks=[CutHook('iter', 16)])
    before = {p.name: p.read_bytes() for p in (tmp_path / 'a').glob('*.pth')}
    shutil.copytree(tmp_path / 'a', tmp_path / 'b')
    train_toy(toy_config(tmp_path / 'b', save=BEST), resume=True)
    assert {p.name: p.read_bytes() for p in (tmp_path / 'a').glob('*.pth')} == before
    assert len(list((tmp_path / 'b').glob('best_*.pth'))) == 1


class FullDisk(Hook):
    """Writing checkpoints fails."""

    def before_save_checkpoint(self, runner, checkpoint):
        if runner.epoch:
            raise OSError(28, 'No space left on device')


def test_an_old_checkpoint_stays_until_the_new_one_stands(tmp_path):
    save = dict(type='CheckpointHook', interval=1, max_keep_ckpts=1)
    with pytest.raises(UserError, match=r'epoch_2.pth was not saved: No space left on device'):
        train_toy(toy_config(tmp_path, save=save), hooks=[FullDisk()])
    assert checkpoints(tmp_path) == ['epoch_1.pth']
    assert not list(tmp_path.glob('.*.part')) and (tmp_path / 'epoch_1.pth.sha256').exists()


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path):
    with pytest.raises(UserError, match=r'loss_b is nan.* in iteration 9 \(learning rate 0.0') as raised:
        train_toy(toy_config(tmp_path, spoil=[9]))
    assert f'The last good checkpoint is {tmp_path}/epoch_1.pth.' in str(raised.value)
    assert checkpoints(tmp_path) == ['epoch_1.pth']


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    patient = [dict(type='res2net_mm.GuardHook', patience=99)]
    with pytest.raises(UserError, match=r'layers.0.weight is not finite after iteration 1\d'):
        train_toy(toy_config(tmp_path, spoil=[9], custom_hooks=patient))
    assert checkpoints(tmp_path) == ['epoch_1.pth']


def test_one_training_in_a_work_directory(tmp_path):
    (tmp_path / '.epoch_1.pth.123.part').write_bytes(b'torn')
    held = lock(tmp_path)
    assert not list(tmp_path.glob('*.part'))
    with pytest.raises(UserError, match='another training writes to'):
        lock(tmp_path)
    held.release()
    lock(tmp_path).release()
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match=r"can't write to the work directory .*: File exists"):
        lock(tmp_path / 'file')


def test_what_was_evaluated_is_recorded(tmp_path):
    train_toy(toy_config(tmp_path))
    record = json.loads(next(Path(tmp_path).glob('*/record.json')).read_text())
    assert record['evaluated'] == 3


def test_a_runner_evaluates_again_with_the_workers_that_it_ended(tmp_path):
    runner = train_toy(toy_config(tmp_path / 'run', workers=1))
    first = runner.val()
    assert runner.val() == first and 'score' in first
