"""Runs with invented figures, and the tables and plots made of them."""

import copy
import csv
import io
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from runs import coco, write_run, write_trained

from res2net_mm.results.plots import plot
from res2net_mm.results.render import FORMATS, terminal
from res2net_mm.results.tables import DEMO_TITLE, demo_tables, paper, paper_tables, shipped, show
from res2net_mm.results.work_dirs import Run, find_runs

R50, R2N50 = 'faster_rcnn_r50_coco', 'faster_rcnn_r2n50_coco'


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def fill(*names, root='work_dirs'):
    runs, unreadable = find_runs([root])
    assert not unreadable
    tables, left_out = paper_tables(runs, names)
    return tables[0] if len(names) == 1 else tables, left_out


def cells(table, *labels):
    return next(row.cells for row in table.rows if row.labels == list(labels))


def measured(table, *labels):
    return [cell.measured for cell in cells(table, *labels)]


def marks():
    """How the training of Table 5's one run differs from its config."""
    (table,), _ = paper_tables(find_runs(['work_dirs'])[0], ['5'])
    assert len(table.runs) == 1
    return table.deviations.get(table.runs[0], [])


def test_a_cell_its_difference_and_the_gain():
    write_trained('work_dirs', R50, coco(0.309, 0.513))
    folder = write_trained('work_dirs', R2N50, coco(0.338, 0.536))
    table, left_out = fill('5')
    ap, ap50 = cells(table, 'COCO', 'Res2Net-50')
    assert (ap.measured, ap.difference, ap50.difference) == (Decimal('33.8'), Decimal('0.1'), 0)
    assert ap.runs[0].folder == folder
    gain = table.rows[-1]
    assert gain.gain and gain.cells[0].measured == Decimal('2.9')
    assert gain.cells[0].published == {'paper': Decimal('2.6')}
    assert measured(table, 'VOC07', 'ResNet-50') == [None, None]
    assert left_out == [] and table.deviations == {}


def test_no_gain_over_a_twin_that_was_not_run():
    write_run('work_dirs', R2N50, coco(0.338))
    table, _ = fill('5')
    assert table.rows[-1].gain and table.rows[-1].cells[0].measured is None


def test_undefined_metrics_stay_empty():
    write_run('work_dirs', R50, coco(0.309, 0.513, 0.3, -1.0, 0.3, 0.4))
    table, _ = fill('6')
    assert measured(table, 'AP (%)', 'ResNet-50') == [None, 30, 40, Decimal('30.9')]


@pytest.mark.parametrize(
    'value, paper_value, shown',
    [
        ('33.66', '33.7', '33.66'),
        ('33.7', '33.7', '33.7'),
        ('33.701234', '33.7', '33.701'),
        ('33.69999', '33.7', '33.69999'),
        ('33.705', '33.7', '33.705'),
        ('33.648', '33.7', '33.65'),
        ('34', '33.7', '34.0'),
    ],
)
def test_never_rounded_into_agreement(value, paper_value, shown):
    assert show(Decimal(value), 1, [Decimal(paper_value)]) == shown


def test_mmsegs_numbers_of_32_bits():
    write_run('work_dirs', 'deeplabv3plus_r50_voc12aug', {'mIoU': 77.66000366210938, 'images': 1449})
    assert measured(fill('7')[0], 'ResNet-50', '64w') == [Decimal('77.66'), None]


def test_differences_are_of_unrounded_values():
    write_run('work_dirs', 'deeplabv3plus_r50_voc12aug', {'mIoU': 77.66, 'images': 1449})
    write_run('work_dirs', 'simplebaseline_r50_coco', {'coco/AP': 0.70399612, 'images': 5000})
    tables, _ = fill('7', '10')
    text = terminal(tables, [], 100)
    assert '77.66' in text and '-0.04' in text
    assert '70.3996' in text and '-0.0004' in text


@pytest.mark.parametrize('options', [{}, {'test_dataloader.dataset.data_root': 'data/coco/'}])
def test_a_run_on_the_demo_data_is_kept_out(options):
    write_run('work_dirs', R2N50, coco(0.9, images=80), options=options)
    write_run(
        'work_dirs', f'demo/{R2N50}', coco(0.9, images=80), work_dir='work_dirs/demo/x', options=options
    )
    table, left_out = fill('5')
    assert table.runs == []
    reason = '80 images, Table 5 needs 5,000 (demo data: see --demo)'
    assert sorted(left_out) == [f'work_dirs/{path}/20260102_000000: {reason}' for path in ('demo/x', R2N50)]


def test_demo_data_of_any_size_is_kept_out_wherever_it_is_linked(tmp_path):
    (tmp_path / 'drawn' / 'coco').mkdir(parents=True)
    (tmp_path / 'drawn' / 'demo.json').touch()
    (tmp_path / 'data').mkdir()
    write_run('work_dirs', R2N50, coco(0.9))
    assert fill('5')[0].runs
    (tmp_path / 'data' / 'coco').symlink_to(tmp_path / 'drawn' / 'coco')
    table, left_out = fill('5')
    assert table.runs == [] and 'drawn scenes' in left_out[0]


def test_a_run_that_did_not_count_its_images_is_kept_out():
    write_run('work_dirs', R2N50, {'coco/bbox_mAP': 0.337})
    table, left_out = fill('5')
    assert table.runs == [] and 'unknown number of images, Table 5 needs 5,000' in left_out[0]


@pytest.mark.parametrize(
    'options, reason',
    [
        ({'model.backbone.depth': 101}, 'model.backbone.depth=101, not 50'),
        ({'model.test_cfg.rcnn.score_thr': 0.01}, 'model.test_cfg.rcnn.score_thr=0.01, not 0.05'),
        (
            {'test_dataloader.dataset.pipeline.1.scale': (1333, 800)},
            'dataset.pipeline.1.scale.0=1333, not 1000',
        ),
        ({'test_dataloader.dataset.indices': 5000}, 'test_dataloader.dataset.indices=5000, not None'),
        ({'test_dataloader.num_batch_per_epoch': 5}, 'test_dataloader.num_batch_per_epoch=5, not None'),
        (
            {'test_dataloader.dataset.ann_file': 'annotations/instances_train5k.json'},
            "ann_file='annotations/instances_train5k.json', not 'annotations/instances_val2017.json'",
        ),
        ({'test_dataloader.dataset.data_prefix.img': 'train2017/'}, "data_prefix.img='train2017/', not"),
        ({'test_evaluator.type': 'LVISMetric'}, "test_evaluator.0.type='LVISMetric', not 'CocoMetric'"),
    ],
)
def test_a_changed_model_or_test_is_kept_out(options, reason):
    write_run('work_dirs', R2N50, coco(0.337), options=options)
    table, left_out = fill('5')
    assert table.runs == []
    assert len(left_out) == 1 and left_out[0].startswith(f'work_dirs/{R2N50}/20260102_000000: ')
    assert reason in left_out[0]


def test_what_does_not_decide_the_number_keeps_no_run_out():
    options = {
        'test_evaluator.type': 'FasterCocoMetric',
        'test_evaluator.ann_file': '/data/coco/annotations/instances_val2017.json',
        'test_dataloader.dataset.data_root': '/data/coco/',
        'test_dataloader.dataset.data_prefix.img': 'images/val2017',
        'test_dataloader.dataset.lazy_init': False,
        'test_evaluator.use_mp_eval': True,
        'model.backbone.norm_cfg.type': 'SyncBN',
        'test_dataloader.num_workers': 8,
        'test_dataloader.batch_size': 4,
        'model.backbone.init_cfg': None,
    }
    write_trained('work_dirs', R2N50, coco(0.337), options=options)
    table, left_out = fill('5')
    assert measured(table, 'COCO', 'Res2Net-50')[0] == Decimal('33.7') and left_out == []


def test_evaluators_that_only_write_keep_no_run_out():
    folder = write_trained('work_dirs', R2N50, coco(0.337))
    config = folder / 'vis_data' / 'config.py'
    dump = "test_evaluator = [test_evaluator, dict(type='DumpDetResults', out_file_path='x.pkl')]\n"
    config.write_text(config.read_text() + dump)
    assert fill('5')[0].runs


def test_training_on_other_data_is_marked():
    ann_file = 'annotations/instances_val2017.json'
    options = {'train_dataloader.dataset.ann_file': ann_file}
    write_run('work_dirs', R2N50, coco(0.5), step=12, options=options)
    assert marks() == [f"train_dataloader.dataset.ann_file='{ann_file}', not "
                       "'annotations/instances_train2017.json'"]  # fmt: skip


def test_other_detections_are_kept_out():
    name = 'simplebaseline_r50_coco'
    options = {'test_dataloader.dataset.bbox_file': '/x/better_person_AP70.json'}
    write_run('work_dirs', name, {'coco/AP': 0.75, 'images': 5000}, options=options)
    table, left_out = fill('10')
    assert table.runs == [] and "bbox_file='/x/better_person_AP70.json', not" in left_out[0]


def test_a_changed_training_is_marked():
    options = {'optim_wrapper.optimizer.lr': 0.04, 'model.backbone.init_cfg': None}
    options |= {'train_dataloader.num_workers': 8, 'model.backbone.with_cp': True}
    write_run(
        'work_dirs', R2N50, coco(0.3), time='20260101_000000', step=12, options=options, images_per_iter=32
    )
    write_run('work_dirs', R2N50, coco(0.3))  # the test's own config says nothing of it
    table, _ = fill('5')
    (lines,) = table.deviations.values()
    assert len(lines) == 3
    assert '32 images an iteration, not 16' in lines
    assert 'optim_wrapper.optimizer.lr=0.04, not 0.02' in lines
    assert any(line.startswith('model.backbone.init_cfg=None, not {') for line in lines)
    for form in FORMATS.values():
        if form is not FORMATS['csv']:
            text = form([table], []).replace('\\', '').replace('\n', ' ')
            assert '32 images an iteration, not 16' in text


@pytest.mark.parametrize('folder', ['/elsewhere', f'/elsewhere/{R2N50}', f'colleague/{R2N50}'])
def test_weights_from_elsewhere_are_marked(folder):
    write_run('work_dirs', R2N50, coco(0.3), time='20260101_000000', step=12)
    write_run('work_dirs', R2N50, coco(0.337), options={'load_from': f'{folder}/epoch_12.pth'})
    assert marks() == ['no record of it']


def test_work_directories_may_be_moved():
    write_trained('work_dirs', R2N50, coco(0.337))
    Path('results').mkdir()
    Path('work_dirs').rename('results/moved')
    Path('linked').symlink_to('results')
    (table,), _ = paper_tables(find_runs(['linked'])[0], ['5'])
    assert measured(table, 'COCO', 'Res2Net-50')[0] == Decimal('33.7') and not table.deviations


def test_another_number_of_images_an_iteration_is_marked():
    write_run('work_dirs', R2N50, coco(0.2), step=12, images_per_iter=2)  # one GPU
    assert marks() == ['2 images an iteration, not 16']
    options = {'train_dataloader.batch_size': 4}
    write_run('work_dirs', R2N50, coco(0.2), time='20260103_000000', step=12, options=options)  # four GPUs
    assert marks() == []


def test_a_test_of_unfinished_weights_is_marked():
    write_run('work_dirs', R2N50, coco(0.2), time='20260101_000000', step=12)
    write_run('work_dirs', R2N50, coco(0.2), options={'load_from': f'work_dirs/{R2N50}/epoch_6.pth'})
    assert marks() == ['stopped, or not finished yet, at 6 of 12']


def test_all_starts_of_a_resumed_training_are_looked_at():
    write_run('work_dirs', R2N50, coco(0.1), time='20260101_000000', step=6,
              options={'optim_wrapper.optimizer.lr': 0.1})  # fmt: skip
    write_run('work_dirs', R2N50, coco(0.2), time='20260101_120000', step=12, options={'resume': True})
    write_run('work_dirs', R2N50, coco(0.2))
    assert marks() == ['optim_wrapper.optimizer.lr=0.1, not 0.02']


def test_a_start_after_the_tested_weights_is_not_their_training():
    write_run('work_dirs', R2N50, coco(0.1), time='20260101_000000', step=12,
              options={'optim_wrapper.optimizer.lr': 0.5})  # fmt: skip
    write_run('work_dirs', R2N50, coco(0.2), time='20260101_120000', step=1)
    write_run('work_dirs', R2N50, coco(0.1))
    assert marks() == ['optim_wrapper.optimizer.lr=0.5, not 0.02']


def test_an_unfinished_training_replaces_no_test():
    write_trained('work_dirs', R2N50, coco(0.33))
    later = write_run('work_dirs', R2N50, coco(0.01), time='20260103_000000', step=1)
    table, left_out = fill('5')
    assert measured(table, 'COCO', 'Res2Net-50')[0] == 33
    counts = f'work_dirs/{R2N50}/20260102_000000'
    assert left_out == [f'{later}: not finished; {counts} counts in its place']


def test_a_training_that_stopped_early_is_marked():
    write_run('work_dirs', R2N50, coco(0.2), step=3)
    table, _ = fill('5')
    assert measured(table, 'COCO', 'Res2Net-50')[0] == 20
    assert list(table.deviations.values()) == [['stopped, or not finished yet, at 3 of 12']]
    assert 'validation at epoch 3 of 12' in terminal([table], [], 100)


def test_the_newest_test_counts():
    write_run('work_dirs', R2N50, coco(0.31), time='20260101_000000', step=12)
    write_run('work_dirs', R2N50, coco(0.32), time='20260102_000000')
    write_run('work_dirs', R2N50, coco(0.33), time='20260103_000000')
    write_run('work_dirs', R2N50, coco(0.34), time='20260104_000000', step=12, work_dir='work_dirs/again')
    table, left_out = fill('5')
    assert measured(table, 'COCO', 'Res2Net-50')[0] == 33
    newest = f'work_dirs/{R2N50}/20260103_000000'
    assert left_out == [f'work_dirs/again/20260104_000000: {newest} counts in its place']


def test_a_newer_training_replaces_an_older_test():
    write_run('work_dirs', R2N50, coco(0.32), time='20260102_000000')
    write_run('work_dirs', R2N50, coco(0.35), time='20260103_000000', step=12)
    assert measured(fill('5')[0], 'COCO', 'Res2Net-50')[0] == 35


def test_scales_and_flips_have_a_column_of_their_own():
    name = 'deeplabv3plus_r50_voc12aug'
    write_run('work_dirs', name, {'mIoU': 78.9, 'images': 1449}, tta=True)
    table, _ = fill('7')
    assert measured(table, 'ResNet-50', '64w') == [None, Decimal('78.9')]
    write_run('work_dirs', name, {'mIoU': 77.5, 'images': 1449}, time='20260101_000000')
    table, left_out = fill('7')
    assert measured(table, 'ResNet-50', '64w') == [Decimal('77.5'), Decimal('78.9')] and left_out == []
    assert cells(table, 'ResNet-50', '64w')[1].difference is None


def test_detected_and_ground_truth_boxes_never_share_a_column():
    name = 'simplebaseline_r50_coco'
    write_run('work_dirs', name, {'coco/AP': 0.7111, 'images': 5000})
    table, _ = fill('10')
    assert measured(table, 'detected', 'ResNet-50')[0] == Decimal('71.11')
    assert measured(table, 'ground truth', 'ResNet-50')[0] is None
    options = {'val_dataloader.dataset.bbox_file': None}
    metrics = {'coco/AP': 0.7333, 'images': 5000}
    write_run('work_dirs', name, metrics, time='20260103_000000', step=140, options=options)
    table, _ = fill('10')
    assert measured(table, 'detected', 'ResNet-50')[0] == Decimal('71.11')
    assert measured(table, 'ground truth', 'ResNet-50')[0] == Decimal('73.33')


@pytest.mark.parametrize('name', ['5', '6', '7', '8', '10', 'mmdet'])
def test_every_config_of_a_table_fills_its_cells(name, tmp_path):
    runs = []
    for group in paper()['tables'][name]['groups']:
        for config in {row['config'] for row in group['rows']}:
            cfg = copy.deepcopy(shipped(config))
            if group.get('boxes') == 'ground truth':
                cfg['test_dataloader']['dataset']['bbox_file'] = None
            folder = tmp_path / (group.get('boxes') or '') / config / 'time'
            folder.mkdir(parents=True, exist_ok=True)
            folder.with_name(f'{config}.py').touch()
            groups = paper()['tables'][name]['groups']
            metrics = {metric: Decimal('0.5') for g in groups for metric in g['metrics'] if metric}
            runs.append(Run(folder, cfg, metrics | dict(images=Decimal(group['images']))))
    (table,), left_out = paper_tables(runs, [name])
    assert left_out == []
    assert all(row.cells[0].measured is not None for row in table.rows)


def test_torn_files_are_named_and_skipped():
    write_run('work_dirs', R50, coco(0.309))
    for i, damage in enumerate(('{"coco/bbox_mAP": 0.3', '[1, 2]')):
        folder = write_run(f'work_dirs/json{i}', R2N50, coco(0.3))
        (folder / f'{folder.name}.json').write_text(damage)
    for i, part in enumerate((200, 2000)):
        config = write_run(f'work_dirs/config{i}', R2N50, coco(0.3)) / 'vis_data' / 'config.py'
        config.write_text(config.read_text()[:part])
    empty = write_run('work_dirs/empty', R2N50, coco(0.3)) / 'vis_data' / 'config.py'
    empty.write_text('')
    folder = write_run('work_dirs/line', R2N50, coco(0.335), step=12)
    scalars = folder / 'vis_data' / 'scalars.json'
    scalars.write_text(scalars.read_text() + '{"loss": 0.1, "st')  # killed while it logged
    runs, unreadable = find_runs(['work_dirs'])
    assert len(unreadable) == 5 and all('20260102_000000 was skipped: ' in line for line in unreadable)
    assert {line.split('/')[1] for line in unreadable} == {'json0', 'json1', 'config0', 'config1', 'empty'}
    table = paper_tables(runs, ['5'])[0][0]
    assert measured(table, 'COCO', 'Res2Net-50')[0] == Decimal('33.5')


def test_other_experiments_are_named():
    folder = write_run('work_dirs', R2N50, coco(0.3))
    (folder.parent / f'{R2N50}.py').rename(folder.parent / 'my_detector.py')
    assert fill('5')[1] == [f'{folder}: no config of a table (my_detector)']


@pytest.fixture(scope='module')
def work_dirs(tmp_path_factory):
    folder = tmp_path_factory.mktemp('filled')
    root = folder / 'work_dirs'
    write_trained(root, R50, coco(0.311, 0.513, 0.3, 0.13, 0.35, 0.46, 0.43, 0.22, 0.48, 0.61))
    options = {'optim_wrapper.optimizer.lr': 0.04}
    metrics = coco(0.338, 0.54, 0.3, 0.14, 0.38, 0.51, 0.45, 0.23, 0.51, 0.65)
    write_trained(root, R2N50, metrics, options=options)
    for name in ('mask_rcnn_r50_coco', 'mask_rcnn_r2n50_48w2s_coco', 'mask_rcnn_r2n50_coco'):
        write_run(root, name, coco(0.3, 0.5, 0.3, 0.1, 0.3, 0.5, kind='segm'), step=24)
    write_run(root, 'deeplabv3plus_r50_voc12aug', {'mIoU': 77.6, 'images': 1449})
    return folder


@pytest.fixture
def filled(work_dirs, monkeypatch):
    """All tables, some cells of which are filled."""
    monkeypatch.chdir(work_dirs)
    return paper_tables(find_runs(['work_dirs'])[0])[0]


@pytest.mark.parametrize('width', [80, 100])
def test_terminal(filled, width):
    text = terminal(filled, ['left out: x'], width)
    assert max(map(len, text.splitlines())) <= width and '…' not in text and '\x1b' not in text
    assert (
        re.search('measured¹ +31.1', text)
        and f'¹ work_dirs/{R50}/20260102_000000 (test of epoch_12.pth)' in text
    )
    assert 'left out: x' in text and '· not run' in text


def test_markdown_has_equal_columns(filled):
    text = FORMATS['markdown'](filled, ['left out: a|b'])
    for block in re.split(r'\n\n', text):
        counts = {len(re.findall(r'(?<!\\)\|', line)) for line in block.splitlines() if line.startswith('|')}
        assert len(counts) <= 1
    assert '**33.8**' in text and '*measured*<sup>2</sup>' in text and r'a\|b' in text
    assert text.count('### ') == len(paper()['tables'])


def test_latex_is_balanced(filled):
    text = FORMATS['latex'](filled, ['left out: 5% of a_b'])
    for name in ('table', 'tabular'):
        assert text.count(rf'\begin{{{name}}}') == text.count(rf'\end{{{name}}}') == len(paper()['tables'])
    body = '\n'.join(line for line in text.splitlines() if not line.startswith('%'))
    assert body.count('{') - body.count(r'\{') == body.count('}') - body.count(r'\}')
    assert not re.search(r'(?<!\\)[%_#^]', body.replace(r'\label{tab:', ''))
    for tabular in re.findall(r'\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}', body, re.S):
        rows = [line for line in tabular[1].splitlines() if line.endswith(r'\\')]
        assert {len(re.findall(r'(?<!\\)&', row)) + 1 for row in rows} == {len(tabular[0])}
    assert body.isascii()


def test_csv(filled):
    rows = list(csv.DictReader(io.StringIO(FORMATS['csv'](filled, []))))
    assert list(rows[0]) == ['table', 'row', 'column', 'kind', 'value', 'source', 'run']

    def value(kind, source=''):
        keys = dict(table='5', row='COCO Res2Net-50', column='AP', kind=kind, source=source)
        return next(r for r in rows if keys.items() <= r.items())

    assert value('published', 'paper')['value'] == '33.7'
    assert (
        value('measured')['value'] == '33.8'
        and value('measured')['run'] == f'work_dirs/{R2N50}/20260102_000000'
    )
    assert value('difference', 'paper')['value'] == '0.1'
    assert value('gain')['value'] == '2.7' and value('published gain', 'paper')['value'] == '2.6'
    empty = [
        r for r in rows if r['table'] == '5' and r['row'].startswith('VOC07') and r['kind'] == 'measured'
    ]
    assert len(empty) == 2 and all(r['value'] == '' for r in empty)


def test_json(filled):
    content = json.loads(FORMATS['json'](filled, ['left out: x']))
    assert list(content['tables']) == list(paper()['tables']) and content['remarks'] == ['left out: x']
    row = next(r for r in content['tables']['5']['rows'] if r['row'] == 'COCO Res2Net-50')
    assert row['columns']['AP'] == dict(
        published={'paper': 33.7}, measured=33.8, difference=0.1, runs=[f'work_dirs/{R2N50}/20260102_000000']
    )
    assert row['gain']['AP']['measured'] == 2.7
    run = content['tables']['5']['runs'][f'work_dirs/{R2N50}/20260102_000000']
    assert run['images'] == 5000 and 'optim_wrapper.optimizer.lr=0.04, not 0.02' in run['training']


def test_formats_without_runs():
    tables, _ = paper_tables([])
    for form in FORMATS.values():
        assert form(tables, ['No runs were found in work_dirs.'])


def test_plots(filled, tmp_path):
    paths = plot(filled, tmp_path / 'plots')
    names = [p.name for p in paths]
    assert names[:2] == ['ap_by_size.png', 'ap_against_scale.png']
    assert f'curves_work_dirs_{R50}.png' in names and 'curves_work_dirs_mask_rcnn_r50_coco.png' in names
    assert all(p.read_bytes().startswith(b'\x89PNG') for p in paths)


def test_plots_without_runs_show_the_papers_numbers(tmp_path):
    assert [p.name for p in plot(paper_tables([])[0], tmp_path)] == ['ap_by_size.png', 'ap_against_scale.png']
    assert plot(paper_tables([], ['5'])[0], tmp_path) == []


def test_demo_tables():
    both = coco(0.21, 0.5, images=80) | coco(0.2, 0.4, kind='segm', images=80)
    for name, metrics in (
        (R50, coco(0.301, 0.6, images=80)),
        (R2N50, coco(0.334, 0.7, images=80)),
        ('mask_rcnn_r2n50_coco', both),
        ('simplebaseline_r2n50_coco', {'coco/AP': 0.4, 'coco/AP .5': 0.5, 'images': 80}),
        ('deeplabv3plus_r2n50_voc12aug', {'mIoU': 31.2, 'aAcc': 70.0, 'mAcc': 50.0, 'images': 40}),
        ('faster_rcnn_r2n50_voc07', {'pascal_voc/mAP': 0.4, 'pascal_voc/AP50': 0.4, 'images': 60}),
    ):
        write_run('', f'demo/{name}', metrics, work_dir=f'work_dirs/demo/{name}')
    write_run('work_dirs', 'faster_rcnn_r2n50_fpn_coco', coco(0.4))  # COCO's own 5,000 images
    tables = demo_tables(find_runs(['work_dirs'])[0])
    assert len(tables) == 6 and all(table.title.startswith(f'{DEMO_TITLE}. ') for table in tables)
    twins = next(table for table in tables if 'faster_rcnn_coco' in table.title)
    assert [row.labels for row in twins.rows] == [['ResNet-50'], ['Res2Net-50 26w×4s'], ['gain']]
    assert [row.cells[0].measured for row in twins.rows] == [Decimal(v) for v in ('30.1', '33.4', '3.3')]
    assert any('masks' in t.title for t in tables) and any('detected boxes' in t.title for t in tables)
    assert all(cell.published == {} for table in tables for row in table.rows for cell in row.cells)
    text = terminal(tables, [], 80)
    assert 'paper ' not in text.replace('of the paper.', '') and '80 images' in text
