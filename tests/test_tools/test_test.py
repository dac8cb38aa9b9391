import json
import os
import pickle

import cv2
import pytest
import torch
from helpers import ENVIRONMENT, on_every_device


def test_prints_the_table_and_writes_predictions_and_pictures(trained, tiny_config, run, tmp_path):
    work_dir, _ = trained
    result = run('test.py', tiny_config, work_dir / 'epoch_1.pth', '--work-dir', tmp_path / 'run',
                 '--out', 'predictions.pkl', '--show-dir', 'shown')  # fmt: skip
    assert result.returncode == 0, result.stderr
    header = next(line for line in result.stdout.splitlines() if 'AP50' in line)
    assert [w for w in header.split() if w[0] == 'A'] == 'AP AP50 AP75 APs APm APl AR ARs ARm ARl'.split()
    assert f'Pictures: {tmp_path}/shown' in result.stdout
    predictions = pickle.loads((tmp_path / 'predictions.pkl').read_bytes())
    assert len(predictions) == 3 and 'pred_instances' in predictions[0]
    pictures = sorted((tmp_path / 'shown').glob('*.jpg'))
    assert len(pictures) == 3
    original = cv2.imread(str(tiny_config.parent / 'demo/coco/val2017' / pictures[0].name))
    assert cv2.imread(str(pictures[0])).shape[1] == 2 * original.shape[1]  # ground truth | predictions


def test_what_cannot_be_written_is_said_before_the_test(trained, tiny_config, run, tmp_path):
    (tmp_path / 'file').touch()
    for option in (('--out', 'file/x.pkl'), ('--show-dir', 'file')):
        result = run('test.py', tiny_config, trained[0] / 'epoch_1.pth', *option)
        assert result.returncode == 2 and 'Epoch(test)' not in result.stdout
        assert result.stderr.endswith('test.py: error: Not a directory: file\n')


def test_a_work_directory_names_its_checkpoint(trained, tiny_config, run):
    work_dir, _ = trained
    for given in (work_dir, work_dir / 'last_checkpoint'):
        result = run('test.py', tiny_config, given)
        assert result.returncode == 2
        assert f'{given} is no checkpoint; its last one is {work_dir}/epoch_1.pth' in result.stderr


def test_images_of_one_name_and_predictions_that_are_only_written(trained, tiny_config, run, tmp_path):
    work_dir, _ = trained
    coco = tiny_config.parent / 'demo/coco'
    data = json.loads((coco / 'annotations/instances_val2017.json').read_text())
    for number, image in enumerate(data['images']):
        (tmp_path / f'images/{number}').mkdir(parents=True)
        (tmp_path / f'images/{number}/x.jpg').symlink_to(coco / 'val2017' / image['file_name'])
        image['file_name'] = f'{number}/x.jpg'
    (tmp_path / 'a.json').write_text(json.dumps(data))
    (tmp_path / 'names.py').write_text(f"""
_base_ = '{tiny_config}'
test_dataloader = dict(dataset=dict(data_root='', ann_file='a.json', data_prefix=dict(img='images/')))
test_evaluator = dict(_delete_=True, type='CocoMetric', ann_file='a.json', format_only=True,
                      outfile_prefix='written/result')
""")
    result = run('test.py', 'names.py', work_dir / 'epoch_1.pth', '--show-dir', 'shown')
    assert result.returncode == 0, result.stderr[-3000:]
    assert {path.name for path in (tmp_path / 'shown').iterdir()} == {'0_x.jpg', '1_x.jpg', '2_x.jpg'}
    written = tmp_path / 'written/result.bbox.json'
    assert f'Written, not evaluated (format_only): {written}' in result.stdout and written.is_file()
    assert 'no metrics' not in result.stdout and 'OneDL' not in result.stdout


@on_every_device
def test_networks_are_fused_by_default_and_give_the_same_metrics(device, trained, tiny_config, run, tmp_path):
    work_dir, _ = trained
    metrics, tolerances = {}, {'--no-fuse': 0, '--work-dir': 1e-4, '--half': 0.05}
    if device == 'cuda':
        tolerances['--cuda-graph'] = 1e-4
    for option in tolerances:
        options = dict.fromkeys([option, '--work-dir', tmp_path / option.strip('-')])
        result = run('test.py', tiny_config, work_dir / 'epoch_1.pth', *options, **ENVIRONMENT[device])
        assert result.returncode == 0, result.stderr[-3000:]
        (file,) = (tmp_path / option.strip('-')).glob('*/2*.json')
        metrics[option] = json.loads(file.read_text())
    for name, value in metrics['--no-fuse'].items():
        if name.startswith('coco/'):
            for option, tolerance in tolerances.items():
                assert abs(metrics[option][name] - value) <= tolerance, (option, name)


@pytest.mark.parametrize(
    'options, message',
    [
        (['--half', '--no-fuse'], '--half needs fused networks, which --no-fuse turns off'),
        (['--cuda-graph', '--no-fuse'], '--cuda-graph needs fused networks'),
        (['--cuda-graph'], '--cuda-graph needs a GPU'),
        (['--tta'], '--tta: the config has no tta_model'),
        (['--out', 'predictions.json'], '--out predictions.json: the name must end in .pkl'),
    ],
)
def test_options_that_will_not_do(options, message, trained, tiny_config, run):
    result = run('test.py', tiny_config, trained[0] / 'epoch_1.pth', *options, CUDA_VISIBLE_DEVICES='')
    assert result.returncode == 2 and f'test.py: error: {message}' in result.stderr


def test_tta_where_the_config_has_it(trained, tiny_config, run, tmp_path):
    work_dir, _ = trained
    (tmp_path / 'tta.py').write_text(f"""
_base_ = '{tiny_config}'
tta_model = dict(type='DetTTAModel', tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100))
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='TestTimeAug', transforms=[
        [dict(type='Resize', scale=(128, 96), keep_ratio=True)],
        [dict(type='RandomFlip', prob=1.0), dict(type='RandomFlip', prob=0.0)],
        [dict(type='LoadAnnotations', with_bbox=True)],
        [dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape',
                                               'scale_factor', 'flip', 'flip_direction'))],
    ]),
]
""")
    result = run('test.py', 'tta.py', work_dir / 'epoch_1.pth', '--tta')
    assert result.returncode == 0, result.stderr[-3000:]
    assert 'AP50' in result.stdout


def test_hooks_see_the_checkpoint_that_is_tested(trained, tiny_config, run, tmp_path):
    work_dir, _ = trained
    (tmp_path / 'ema.py').write_text(f"_base_ = '{tiny_config}'\ncustom_hooks = [dict(type='EMAHook')]\n")
    result = run('test.py', 'ema.py', work_dir / 'epoch_1.pth')
    assert result.returncode == 0, result.stderr[-3000:]
    assert 'AP50' in result.stdout


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f'touch {self.path}',)


def test_checkpoints_that_cannot_be_tested(tiny_config, run, tmp_path):
    torch.save({'state_dict': {}, 'meta': Hostile(tmp_path / 'executed')}, tmp_path / 'hostile.pth')
    (tmp_path / 'empty.pth').touch()
    torch.save([1, 2], tmp_path / 'list.pth')
    for name, message in (
        ('gone.pth', 'checkpoint not found'),
        ('empty.pth', 'is empty'),
        ('list.pth', 'holds no state dict, but a list'),
        ('hostile.pth', 'not executed'),
    ):
        result = run('test.py', tiny_config, name)
        assert result.returncode == 2, result.stderr
        assert message in result.stderr and 'Traceback' not in result.stderr
    assert not (tmp_path / 'executed').exists()


def test_a_checkpoint_of_another_model(trained, tiny_config, run):
    work_dir, _ = trained
    result = run(
        'test.py', tiny_config, work_dir / 'epoch_1.pth', '--cfg-options', 'model.backbone.depth=(2,1,1,1)'
    )
    assert result.returncode == 2
    assert "is not of this config's model: of its 155 " in result.stderr
    assert "its backbone has depth=(1, 1, 1, 1), the config's depth=(2, 1, 1, 1)" in result.stderr
    assert 'Traceback' not in result.stderr and len(result.stderr) < 600
    result = run('test.py', work_dir / 'epoch_1.pth', tiny_config)
    assert result.returncode == 2 and 'it is a checkpoint, and the config comes before it' in result.stderr
