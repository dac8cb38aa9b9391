"""Work directories as the tools leave them, with invented figures."""

import json
import shutil
from pathlib import Path

from mmengine.config import Config

from res2net_mm.config import CONFIGS

DEMO = CONFIGS.resolve().parent / 'demo/configs'

COCO = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
RECALL = ('AR@100', 'AR_s@1000', 'AR_m@1000', 'AR_l@1000')


def coco(*values, kind='bbox', images=5000):
    """Metrics in COCO's order: AP AP50 AP75 APs APm APl AR ARs ARm ARl."""
    return {f'coco/{kind}_{k}': v for k, v in zip((*COCO, *RECALL), values)} | dict(images=images)


def path(name):
    """Of a config, or of one of the demo's: demo/NAME."""
    return DEMO / f'{name[5:]}.py' if name.startswith('demo/') else CONFIGS / f'{name}.py'


def last_step(cfg):
    """The last epoch or iteration of a config's training."""
    return cfg.train_cfg.get('max_epochs') or cfg.train_cfg.max_iters


def write_run(
    root,
    name,
    metrics,
    time='20260102_000000',
    step=None,
    tta=False,
    work_dir=None,
    options=None,
    images_per_iter=None,
):
    """Write what a test (with ``step``: a training) of a shipped config leaves; return its folder."""
    cfg = Config.fromfile(path(name))
    work_dir = Path(work_dir or Path(root, Path(name).name))
    if step is None:
        kind = 'epoch' if 'max_epochs' in cfg.train_cfg else 'iter'
        cfg.load_from = str(Path(work_dir, f'{kind}_{last_step(cfg)}.pth').absolute())
    cfg.work_dir = str(work_dir)
    if tta:
        cfg.model = dict(**cfg.tta_model, module=cfg.model)
        cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    cfg.merge_from_dict(options or {})
    folder = work_dir / time
    (folder / 'vis_data').mkdir(parents=True)
    cfg.dump(folder / 'vis_data' / 'config.py')
    shutil.copy(folder / 'vis_data' / 'config.py', work_dir / f'{Path(name).name}.py')
    if step is None:
        (folder / f'{time}.json').write_text(json.dumps({**metrics, 'data_time': 0.1, 'time': 0.2}))
    else:
        records = [
            dict(loss=3 / (i + 1), loss_cls=1 / (i + 1), epoch=1, step=50 * i + 50)
            for i in range(min(step, 50))
        ]
        metrics = {**metrics, 'images_per_iter': images_per_iter or cfg.auto_scale_lr.base_batch_size}
        records.append({**metrics, 'data_time': 0.1, 'time': 0.2, 'step': step})
        (folder / 'vis_data' / 'scalars.json').write_text('\n'.join(map(json.dumps, records)) + '\n')
    return folder


def write_trained(root, name, metrics, **kwargs):
    """Write a whole training and a test of it."""
    last = last_step(Config.fromfile(path(name)))
    write_run(root, name, metrics, time='20260101_000000', step=last, **kwargs)
    return write_run(root, name, metrics, **kwargs)
