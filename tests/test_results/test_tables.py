"""Runs with invented figures, and the tables and plots made of them."""

import csv
import io
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from runs import cells, coco, make_record, write, write_test, write_training

from res2net_mm.results.other_tables import other_tables
from res2net_mm.results.paper import paper
from res2net_mm.results.paper_tables import paper_tables
from res2net_mm.results.plots import plot
from res2net_mm.results.records import find_runs
from res2net_mm.results.render import FORMATS, terminal
from res2net_mm.results.report import collect
from res2net_mm.results.tables import show

R50, R2N50 = 'faster_rcnn_r50_coco', 'faster_rcnn_r2n50_coco'


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def fill(*names, root='work_dirs'):
    runs, problems = find_runs([root])
    assert not problems
    tables, left_out, _ = paper_tables(runs, names)
    return tables[0] if len(names) == 1 else tables, [f'{run.folder}: {reason}' for run, reason in left_out]


def measured(table, *labels):
    return [cell.measured for cell in cells(table, *labels)]


def footnotes():
    """Those of Table 5's one run."""
    (run,) = fill('5')[0].runs
    return run.changes + run.footnotes


def test_a_cell_its_difference_and_the_gain():
    write_test('work_dirs', R50, coco(0.309, 0.513))
    folder = write_test('work_dirs', R2N50, coco(0.338, 0.536))
    table, left_out = fill('5')
    ap, ap50 = cells(table, 'COCO', 'Res2Net-50')
    assert (ap.measured, ap.difference, ap50.difference) == (Decimal('33.8'), Decimal('0.1'), 0)
    assert ap.runs[0].folder == folder
    gain = table.rows[-1]
    assert gain.gain and gain.cells[0].measured == Decimal('2.9')
    assert gain.cells[0].published == {'paper': Decimal('2.6')}
    assert measured(table, 'VOC07', 'ResNet-50') == [None, None]
    assert left_out == [] and not any(run.changes + run.footnotes for run in table.runs)


def test_no_gain_over_a_baseline_that_was_not_run():
    write_test('work_dirs', R2N50, coco(0.338))
    table, _ = fill('5')
    assert table.rows[-1].gain and table.rows[-1].cells[0].measured is None


def test_undefined_metrics_stay_empty():
    write_test('work_dirs', R50, coco(0.309, 0.513, 0.3, -1.0, None, 0.4))
    table, _ = fill('6')
    assert measured(table, 'AP (%)', 'ResNet-50') == [None, None, 40, Decimal('30.9')]
    assert '*measured*<sup>1</sup> | - | - | **40.0** | **30.9** |' in FORMATS['markdown']([table], [])


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


def test_differences_are_of_unrounded_values():
    write_test('work_dirs', 'deeplabv3plus_r50_voc12aug', {'mIoU': 77.66}, images=1449)
    write_test('work_dirs', 'simplebaseline_r50_coco', {'coco/AP': 0.70399612})
    tables, _ = fill('7', '10')
    text = terminal(tables, [], 100)
    assert '77.66' in text and '-0.04' in text
    assert '70.3996' in text and '-0.0004' in text


def test_other_data_is_kept_out_and_listed_with_the_others():
    folder = write_test('work_dirs', R2N50, coco(0.9), images=80)
    table, left_out = fill('5')
    assert table.runs == [] and left_out == [f'{folder}: 80 images, Table 5 needs 5,000']
    _, _, others = paper_tables(find_runs(['work_dirs'])[0])
    assert [run.folder for run in others] == [folder]
    for others, said in ((True, []), (False, [f'left out: {left_out[0]}'])):
        assert collect(['work_dirs'], ['5'], others)[1] == said


def test_other_experiments_are_named():
    folder = write_test('work_dirs', 'my_detector', coco(0.3))
    assert fill('5')[1] == [f'{folder}: no config of a table (my_detector)']


@pytest.mark.parametrize(
    'options, reason',
    [
        ({'model.backbone.depth': 101}, 'model.backbone.depth=101, not 50'),
        ({'test_dataloader.dataset.indices': 5000}, 'dataset.indices=5000, not None'),
    ],
)
def test_a_changed_model_or_test_is_kept_out(options, reason):
    folder = write_test('work_dirs', R2N50, coco(0.337), options=options)
    table, left_out = fill('5')
    assert table.runs == [] and left_out == [f'{folder}: {reason}']


@pytest.mark.parametrize('count, end', [(3, ''), (5, '; and 2 more')])
def test_a_long_list_of_changes_is_cut(count, end):
    changes = dict(evaluation=[f'model.x{i}=1, not 2' for i in range(count)])
    write_test('work_dirs', R2N50, coco(0.337), changes=changes)
    assert fill('5')[1][0].endswith(f': model.x0=1, not 2; model.x1=1, not 2; model.x2=1, not 2{end}')


def test_a_run_that_was_not_compared_is_kept_out():
    write_test('work_dirs', R2N50, coco(0.337), changes=None)
    table, left_out = fill('5')
    assert table.runs == [] and left_out[0].endswith(f'it was not compared with the shipped {R2N50}')


def test_changes_of_the_training_are_footnotes():
    options = {'optim_wrapper.optimizer.lr': 0.04, 'model.backbone.init_cfg': None}
    training = make_record(R2N50, options=options)
    training['changes']['training'].append('32 images per iteration, not 16')
    write_test('work_dirs', R2N50, coco(0.3), training=training)
    table, _ = fill('5')
    lines = table.runs[0].changes
    assert len(lines) == 3
    assert 'optim_wrapper.optimizer.lr=0.04, not 0.02' in lines
    assert any(line.startswith('model.backbone.init_cfg=None, not {') for line in lines)
    for form in FORMATS.values():
        if form is not FORMATS['csv']:
            text = form([table], []).replace('\\', '').replace('\n', ' ')
            assert '32 images per iteration, not 16' in text


def test_weights_of_an_unknown_training_are_marked():
    write_test('work_dirs', R2N50, coco(0.337), training=None)
    assert footnotes() == ['of a training that left no record']


def test_half_precision_is_marked():
    write_test('work_dirs', R2N50, coco(0.337), dtype='bfloat16')
    assert footnotes() == ['tested in half precision (bfloat16)']


def test_a_training_that_was_not_compared_is_marked():
    write_test('work_dirs', R2N50, coco(0.337), training=make_record(R2N50, changes=None))
    assert footnotes() == ['of a training that was not compared with the shipped config']


def test_weights_of_another_config_are_marked():
    write_test('work_dirs', R2N50, coco(0.337), training=make_record('my_detector'))
    assert footnotes() == ['trained as my_detector']


def test_a_test_of_unfinished_weights_is_marked():
    write_test('work_dirs', R2N50, coco(0.2), training=make_record(R2N50, reached=6))
    assert footnotes() == ['stopped, or not finished yet, at 6 of 12']
    assert 'test of epoch_6.pth' in terminal([fill('5')[0]], [], 100)


def test_a_training_that_stopped_early_is_marked():
    write_training('work_dirs', R2N50, coco(0.2), reached=3)
    table, _ = fill('5')
    assert measured(table, 'COCO', 'Res2Net-50')[0] == 20
    assert footnotes() == ['stopped, or not finished yet, at 3 of 12']
    assert 'validation at epoch 3 of 12' in terminal([table], [], 100)


def test_all_starts_of_a_resumed_training_are_looked_at():
    first = make_record(R2N50, reached=3, options={'optim_wrapper.optimizer.lr': 0.1})
    second = make_record(R2N50, reached=6, resumed=first)
    write_test('work_dirs', R2N50, coco(0.2), training=make_record(R2N50, resumed=second))
    assert footnotes() == ['optim_wrapper.optimizer.lr=0.1, not 0.02']


def test_what_was_resumed_may_be_unknown():
    training = make_record(R2N50, resumed=True)
    training['checkpoint']['training'] = None
    write_test('work_dirs', R2N50, coco(0.2), training=training)
    assert footnotes() == ['of a training that left no record']


def test_an_unfinished_training_replaces_no_test():
    first = write_test('work_dirs', R2N50, coco(0.33))
    later = write_training('work_dirs', R2N50, coco(0.01), time='20260103_000000', reached=1)
    table, left_out = fill('5')
    assert measured(table, 'COCO', 'Res2Net-50')[0] == 33
    assert left_out == [f'{later}: {first} counts in its place']


def test_the_newest_counts():
    write_training('work_dirs', R2N50, coco(0.31), time='20260101_000000')
    write_test('work_dirs', R2N50, coco(0.32), time='20260102_000000')
    again = write_test('work_dirs', R2N50, coco(0.34), time='20260103_000000', work_dir='work_dirs/again')
    newest = write_test('work_dirs', R2N50, coco(0.33), time='20260104_000000')
    table, left_out = fill('5')
    assert measured(table, 'COCO', 'Res2Net-50')[0] == 33
    assert f'{again}: {newest} counts in its place' in left_out


def test_scales_and_flips_have_a_column_of_their_own():
    name = 'deeplabv3plus_r50_voc12aug'
    write_test('work_dirs', name, {'mIoU': 78.9}, images=1449, tta=True)
    table, _ = fill('7')
    assert measured(table, 'ResNet-50', '64w') == [None, Decimal('78.9')]
    write_test('work_dirs', name, {'mIoU': 77.5}, images=1449, time='20260101_000000')
    table, left_out = fill('7')
    assert measured(table, 'ResNet-50', '64w') == [Decimal('77.5'), Decimal('78.9')] and left_out == []
    assert cells(table, 'ResNet-50', '64w')[1].difference is None


def test_detected_and_ground_truth_boxes_never_share_a_column():
    name = 'simplebaseline_r50_coco'
    write_test('work_dirs', name, {'coco/AP': 0.7111})
    table, _ = fill('10')
    assert measured(table, 'detected', 'ResNet-50')[0] == Decimal('71.11')
    assert measured(table, 'ground truth', 'ResNet-50')[0] is None
    options = {'val_dataloader.dataset.bbox_file': None}
    write_training('work_dirs', name, {'coco/AP': 0.7333}, time='20260103_000000', options=options)
    table, _ = fill('10')
    assert measured(table, 'detected', 'ResNet-50')[0] == Decimal('71.11')
    assert measured(table, 'ground truth', 'ResNet-50')[0] == Decimal('73.33')


def test_one_test_fills_the_rows_of_four_sets():
    """Of both backbones; the less error, the more gain. A validation is of another set and has no row."""
    sets = ('ECSSD', 'PASCAL-S', 'HKU-IS', 'DUT-OMRON')
    for config, more in (('dss_r50_msrab', 0), ('dss_r2n50_msrab', 0.0125)):
        metrics = {f'{name}/max_F_PR': round(0.9 - i / 10 + more, 4) for i, name in enumerate(sets)}
        metrics |= {f'{name}/MAE': round(0.05 + i / 50 - more, 4) for i, name in enumerate(sets)}
        others = {f'{name}/{key}': 0.1 for name in sets for key in ('max_F', 'S')}
        write_test('work_dirs', config, metrics | others, images=11_465)
    write_training('work_dirs', 'dss_r50_msrab', {'MSRA-B/max_F_PR': 0.99}, '20260103_000000', images=500)
    table, left_out = fill('9')
    assert left_out == ['work_dirs/dss_r50_msrab/20260103_000000: 500 images, Table 9 needs 11,465']
    assert not any(run.changes + run.footnotes for run in table.runs)
    for i, name in enumerate(sets):
        expected = [Decimal(str(round(v, 4))) for v in (0.9 - i / 10, 0.05 + i / 50)]
        assert measured(table, name, 'ResNet-50') == expected
        more = Decimal('0.0125')
        assert measured(table, name, 'Res2Net-50') == [expected[0] + more, expected[1] - more]
    gains = [row for row in table.rows if row.gain]
    assert len(gains) == 4
    assert all([cell.measured for cell in row.cells] == [Decimal('0.0125')] * 2 for row in gains)


@pytest.mark.parametrize('name', ['5', '6', '7', '8', '9', '10', 'mmdet'])
def test_every_config_of_a_table_fills_its_cells(name):
    groups = paper()['tables'][name]['groups']
    metrics = {metric: 0.5 for group in groups for metric in group['metrics'] if metric}
    for group in groups:
        boxes = group.get('boxes')
        options = {'test_dataloader.dataset.bbox_file': None} if boxes == 'ground truth' else {}
        for config in {row['config'] for row in group['rows']}:
            if not Path(f'work_dirs/{boxes}/{config}').exists():
                write_test(f'work_dirs/{boxes}', config, metrics, images=group['images'], options=options)
    table, left_out = fill(name)
    assert left_out == []
    assert all(row.cells[0].measured is not None for row in table.rows)


def test_other_runs_by_data_set_and_kind_with_gains():
    both = coco(0.21, 0.5) | coco(0.2, 0.4, kind='segm')
    for name, metrics, images in (
        (R2N50, coco(0.334, 0.7), 80),
        (R50, coco(0.301, 0.6), 80),
        ('mask_rcnn_r2n50_coco', both, 80),
        ('simplebaseline_r2n50_coco', {'coco/AP': 0.4, 'coco/AP .5': 0.5}, 80),
        ('deeplabv3plus_r2n50_voc12aug', {'mIoU': 31.2, 'aAcc': 70.0, 'mAcc': 50.0}, 40),
        ('faster_rcnn_r2n50_voc07', {'pascal_voc/mAP': 0.4, 'pascal_voc/AP50': 0.4}, 60),
        ('faster_rcnn_r2n50_fpn_coco', coco(0.4), 5000),  # of no table
    ):
        write_test('work_dirs', name, metrics, images=images)
    _, _, others = paper_tables(find_runs(['work_dirs'])[0])
    tables = {table.title.removeprefix('Other runs: '): table for table in other_tables(others)}
    assert list(tables) == [
        'CocoDataset, 5,000 images, boxes, %',
        'CocoDataset, 80 images, boxes, %',
        'CocoDataset, 80 images, masks, %',
        'CocoDataset, 80 images, detected boxes, key points, %',
        'PascalVOCDataset, 40 images',
        'VOCDataset, 60 images, boxes, %',
    ]
    boxes = tables['CocoDataset, 80 images, boxes, %']
    assert [row.labels for row in boxes.rows] == [[R50], [R2N50], ['gain'], ['mask_rcnn_r2n50_coco']]
    expected = [Decimal(v) for v in ('30.1', '33.4', '3.3', '21')]
    assert [row.cells[0].measured for row in boxes.rows] == expected
    assert boxes.columns == ['AP', 'AP50']
    (miou, *_) = cells(tables['PascalVOCDataset, 40 images'], 'deeplabv3plus_r2n50_voc12aug')
    assert miou.measured == Decimal('31.2')
    assert all(cell.published == {} for table in tables.values() for row in table.rows for cell in row.cells)
    text = terminal(list(tables.values()), [], 80)
    assert re.search(r'faster_rcnn_r2n50_coco +³ +33.4 +70.0\ngain +\+3.3 +\+10.0', text), text


def test_a_gain_over_a_baseline_without_the_metric_is_nothing_to_measure():
    write_test('work_dirs', R50, dict(a=1.0), images=7)
    write_test('work_dirs', R2N50, dict(a=3.0, b=4.0), images=7)
    (table,) = other_tables(find_runs(['work_dirs'])[0])
    assert [(cell.measured, cell.open) for cell in table.rows[-1].cells] == [(2, True), (None, False)]


def test_of_other_runs_the_newest_of_a_work_directory_counts():
    write_test('work_dirs', 'mine', coco(0.2), images=7)
    write_test('work_dirs', 'mine', coco(0.3), images=7, time='20260103_000000')
    write_test('work_dirs', 'mine', coco(0.4), images=7, work_dir='work_dirs/again')
    write_test('', 'another', coco(0.5), images=7, time='20260103_000000', work_dir='work_dirs/again')
    (table,) = other_tables(find_runs(['work_dirs'])[0])
    assert sorted(row.cells[0].measured for row in table.rows) == [30, 40, 50]


def test_data_sets_of_one_type_and_size_are_told_apart_by_their_folders():
    for folder, value in (('data/cats/', 0.2), ('data/dogs/', 0.3)):
        data = dict(test=dict(type='CocoDataset', folder=folder, images=7))
        write_test('work_dirs', 'mine', coco(value), data=data, work_dir=f'work_dirs/{folder}')
    tables = {table.title: table.rows for table in other_tables(find_runs(['work_dirs'])[0])}
    assert {title: rows[0].cells[0].measured for title, rows in tables.items()} == {
        'Other runs: CocoDataset, data/cats/, 7 images, boxes, %': 20,
        'Other runs: CocoDataset, data/dogs/, 7 images, boxes, %': 30,
    }


def test_other_runs_need_no_training_as_shipped():
    training = make_record(R2N50, options={'optim_wrapper.optimizer.lr': 0.1}, reached=6)
    write_test('work_dirs', R2N50, coco(0.2), images=80, training=training)
    text = terminal(other_tables(find_runs(['work_dirs'])[0]), [], 150)
    assert '(test of epoch_6.pth); stopped, or not finished yet, at 6 of 12\n' in text


def test_metrics_of_single_classes_are_no_key_points():
    write_test('work_dirs', 'mine', coco(0.2) | {'coco/cat_precision': 0.3}, images=7)
    (table,) = other_tables(find_runs(['work_dirs'])[0])
    assert table.columns == ['AP']


@pytest.fixture(scope='module')
def work_dirs(tmp_path_factory):
    folder = tmp_path_factory.mktemp('filled')
    root = folder / 'work_dirs'
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_test(root, R50, coco(0.311, 0.513, 0.3, 0.13, 0.35, 0.46, 0.43, 0.22, 0.48, 0.61))
        write_training(root, R50, coco(0.31), time='20260101_000000')
        training = make_record(R2N50, options={'optim_wrapper.optimizer.lr': 0.04})
        metrics = coco(0.338, 0.54, 0.3, 0.14, 0.38, 0.51, 0.45, 0.23, 0.51, 0.65)
        write_test(root, R2N50, metrics, training=training)
        for name in ('mask_rcnn_r50_coco', 'mask_rcnn_r2n50_48w2s_coco', 'mask_rcnn_r2n50_coco'):
            write_training(root, name, coco(0.3, 0.5, 0.3, 0.1, 0.3, 0.5, kind='segm'))
        write_test(root, 'deeplabv3plus_r50_voc12aug', {'mIoU': 77.6}, images=1449)
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


def test_a_terminal_is_too_narrow_rather_than_a_number_cut():
    write_test('work_dirs', 'mine' * 10, coco(*[0.1237] * 10), images=7)
    (table,) = other_tables(find_runs(['work_dirs'])[0])
    text = terminal([table], [], 60)
    assert text.count('12.37') == 10 and '…' not in text
    assert max(len(line) for line in text.splitlines() if '12.37' in line) > 60


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
    assert body.isascii() and '\\midrule\n\\addlinespace' not in body and '\\addlinespace' in body


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


def test_csv_has_no_exponents():
    write_test('work_dirs', 'mine', coco(0.0, 0.1), images=7)
    text = FORMATS['csv'](other_tables(find_runs(['work_dirs'])[0]), [])
    assert ',mine,AP,measured,0,,' in text and ',mine,AP50,measured,10,,' in text


def test_json(filled):
    content = json.loads(FORMATS['json'](filled, ['left out: x']))
    assert list(content['tables']) == list(paper()['tables']) and content['remarks'] == ['left out: x']
    folder = f'work_dirs/{R2N50}/20260102_000000'
    numbers = {
        number['kind']: (number['value'], number['source'], number['runs'])
        for number in content['tables']['5']['numbers']
        if (number['row'], number['column']) == ('COCO Res2Net-50', 'AP')
    }
    assert numbers['published'] == (33.7, 'paper', []) and numbers['measured'] == (33.8, '', [folder])
    assert numbers['difference'] == (0.1, 'paper', [folder])
    assert numbers['gain'] == (2.7, '', [folder, f'work_dirs/{R50}/20260102_000000'])
    run = content['runs'][folder]
    assert run['training_changes'] == ['optim_wrapper.optimizer.lr=0.04, not 0.02'] and run['footnotes'] == []
    assert run['checkpoint']['sha256'] == '1a' and run['metrics']['coco/bbox_mAP'] == 0.338


def test_formats_without_runs():
    tables, _, _ = paper_tables([])
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


def test_the_measured_numbers_are_drawn_over_the_papers(filled, monkeypatch):
    from res2net_mm.results import plots

    figures = []
    monkeypatch.setattr(plots, '_save', lambda figure, path: figures.append(figure) or path)
    plots.plot_sizes([table for table in filled if table.name == '6'], Path('x.png'))
    (axis,) = figures[0].axes
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert labels == [f'{b}, {k}' for b in ('ResNet-50', 'Res2Net-50') for k in ('paper', 'measured')]
    heights = [bar.get_height() for bars in axis.containers for bar in bars]
    assert heights[:2] == [13.5, 13.0] and heights[-2:] == [33.7, 33.8]
    (table,) = (table for table in filled if table.name == '8')
    plots.plot_sizes([table], Path('x.png'))
    plots.plot_scales([table], Path('x.png'))
    sizes, scales = (figure.axes[0] for figure in figures[1:])
    of_4 = float(cells(table, 'masks', 'Res2Net-50', '26w×4s')[table.columns.index('AP')].reference)
    assert [bar.get_height() for bar in sizes.containers[-2]] == [of_4]
    assert scales.lines[0].get_xdata().tolist() == [1, 2, 4, 6, 8]


def test_unwritten_records():
    """The helpers of these tests write what the hook does."""
    write('work_dirs', make_record(R50))
    assert find_runs(['work_dirs']) == ([], [])  # a training that has not evaluated yet
