"""Work directories as the tools leave them, with invented figures."""

import json
from pathlib import Path

from mmengine.config import Config

from res2net_mm.config import shipped_configs, unwrap
from res2net_mm.engine.changes import find_changes
from res2net_mm.engine.options import use_tta

COCO = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
RECALL = ('AR@100', 'AR_s@1000', 'AR_m@1000', 'AR_l@1000')


def coco(*values, kind='bbox'):
    """Metrics in COCO's order: AP AP50 AP75 APs APm APl AR ARs ARm ARl."""
    return {f'coco/{kind}_{k}': v for k, v in zip((*COCO, *RECALL), values)}


def cells(table, *labels):
    """A row's cells."""
    return next(row.cells for row in table.rows if row.labels == list(labels))


def make_record(name, mode='train', images=5000, reached=None, options=None, resumed=None, **changed):
    """What the hook records of a run of a config, be it shipped or not."""
    cfg = Config.fromfile(shipped_configs().get(name) or shipped_configs()['faster_rcnn_r50_coco'])
    part = 'test' if mode == 'test' else 'val'
    tta = changed.get('tta', False)
    if tta:
        use_tta(cfg)
    changes, shipped = None, shipped_configs().get(name)
    if shipped:
        cfg.merge_from_dict(options or {})
        changes = find_changes(cfg, Config.fromfile(shipped), part)
    kind = unwrap(cfg[f'{part}_dataloader'].dataset).type
    data = dict(type=kind, images=images, instances=None, classes=80)
    if cfg.default_scope == 'mmpose':
        bbox_file = cfg[f'{part}_dataloader'].dataset.get('bbox_file')
        data['boxes'] = 'detected' if bbox_file else 'ground truth'
    last = cfg.train_cfg.get('max_epochs') or cfg.train_cfg.max_iters
    unit = 'epoch' if 'max_epochs' in cfg.train_cfg else 'iter'
    record = dict(
        mode=mode,
        config=name,
        options=options or {},
        changes=changes,
        data={part: data},
        tta=tta,
        dtype='float32',
        fused=mode == 'test',
        parameters=dict(model=41_000_000, backbone=24_260_000),
        checkpoint=None,
        world_size=1,
        device='x86_64',
        seed=0,
        revision='0123456789abcdef0123456789abcdef01234567',
        versions=dict(torch='2.10.0', mmengine='0.10.12', res2net_mm='0.1.0'),
        started='2026-01-02T00:00:00.000',
        finished=None,
        metrics=None,
    )
    if mode == 'train':
        progress = dict(unit=unit, reached=last if reached is None else reached, planned=last)
        record.update(progress=progress, resumed=bool(resumed), images_per_iteration=16)
        if resumed:
            record['checkpoint'] = dict(path='x.pth', sha256='1a', training=resumed)
    return {**record, **changed}


def write(root, record, time='20260102_000000', work_dir=None):
    """Write a record into a work directory; return the folder of the run."""
    folder = Path(work_dir or Path(root, record['config']), time)
    (folder / 'vis_data').mkdir(parents=True)
    started = f'{time[:4]}-{time[4:6]}-{time[6:8]}T{time[9:11]}:00:00.000'
    (folder / 'record.json').write_text(json.dumps(dict(record, started=started)))
    return folder


def write_test(root, name, metrics, training='own', time='20260102_000000', work_dir=None, **kwargs):
    """Write what a test leaves, of weights of a training: an unchanged, whole one unless another is given."""
    training = make_record(name) if training == 'own' else training
    reached = training['progress']['reached'] if training else 12
    checkpoint = dict(path=f'{root}/{name}/epoch_{reached}.pth', sha256='1a', training=training)
    record = make_record(name, 'test', checkpoint=checkpoint, metrics=metrics, **kwargs)
    return write(root, record, time, work_dir)


def write_training(root, name, metrics, time='20260102_000000', work_dir=None, **kwargs):
    """Write what a training leaves."""
    folder = write(root, make_record(name, metrics=metrics, **kwargs), time, work_dir)
    logged = [dict(loss=3 / (i + 1), loss_cls=1 / (i + 1), epoch=1, step=50 * i + 50) for i in range(20)]
    logged.append({**metrics, 'time': 0.2, 'step': 12})
    (folder / 'vis_data' / 'scalars.json').write_text('\n'.join(map(json.dumps, logged)) + '\n')
    return folder
