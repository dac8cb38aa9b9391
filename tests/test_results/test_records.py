"""Records are read and believed; what has none, or a damaged one, is listed."""

import json
from pathlib import Path

import pytest
from runs import coco, make_record, write, write_test, write_training

from res2net_mm.results.records import find_runs

R50 = 'faster_rcnn_r50_coco'


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_exact_numbers():
    write_test('work_dirs', R50, {'mIoU': 77.66, 'n': 3, 'undefined': None})
    (run,), _ = find_runs(['work_dirs'])
    assert {name: str(value) for name, value in run.metrics.items()} == dict(mIoU='77.66', n='3')


def test_a_run_without_a_record_is_named():
    folder = Path('work_dirs/old/20251231_000000')
    (folder / 'vis_data').mkdir(parents=True)
    (folder / f'{folder.name}.json').write_text('{"coco/bbox_mAP": 0.9}')  # is not believed
    Path('work_dirs/refused/20251231_000001/vis_data').mkdir(parents=True)  # measured nothing
    Path('work_dirs/refused/20251231_000001/vis_data/scalars.json').touch()
    assert find_runs(['work_dirs']) == ([], [f'{folder} is not counted: it has no record.json'])


@pytest.mark.parametrize(
    'damage',
    [
        lambda text: text[: len(text) // 2],
        lambda text: '',
        lambda text: '[1, 2]',
        lambda text: '[' * 200_000,
        lambda text: '{}',
        lambda text: '{"metrics": {}}',
        lambda text: '{"metrics": {"mIoU": "high"}}',
        lambda text: text.replace('"images": 5000', '"images": null'),
        lambda text: text.replace('"started"', '"begun"'),
        lambda text: text.replace('"checkpoint": {', '"checkpoint": 1, "x": {'),
    ],
)
def test_a_damaged_record_is_named_and_skipped(damage):
    write_test('work_dirs', 'faster_rcnn_r2n50_coco', coco(0.3))
    folder = write_test('work_dirs', R50, coco(0.3))
    file = folder / 'record.json'
    file.write_text(damage(file.read_text()))
    runs, problems = find_runs(['work_dirs'])
    assert len(runs) == 1 and len(problems) == 1
    assert problems[0].startswith(f"{folder}: its record can't be read (")


def test_bytes_that_are_no_text():
    (write_test('work_dirs', R50, coco(0.3)) / 'record.json').write_bytes(b'\xff\xfe')
    runs, problems = find_runs(['work_dirs'])
    assert runs == [] and len(problems) == 1


def test_a_training_that_has_not_evaluated_yet_is_no_run():
    write('work_dirs', make_record(R50))
    assert find_runs(['work_dirs']) == ([], [])


def test_by_time_and_unfinished_ones_first():
    second = write_test('work_dirs/b', R50, coco(0.3), time='20260102_000000')
    first = write_test('work_dirs/c', R50, coco(0.3), time='20260101_000000')
    unfinished = write_training('work_dirs/a', R50, coco(0.3), time='20260103_000000', reached=2)
    assert [run.folder for run in find_runs(['work_dirs'])[0]] == [unfinished, first, second]


def test_links_are_followed_once():
    folder = write_test('work_dirs', R50, coco(0.3))
    Path('elsewhere').mkdir()
    Path('elsewhere/link').symlink_to(Path('work_dirs').absolute())
    Path('work_dirs/circle').symlink_to(Path('work_dirs').absolute())
    assert len(find_runs(['elsewhere'])[0]) == 1
    runs, _ = find_runs(['work_dirs', 'elsewhere', folder])
    assert [run.folder for run in runs] == [folder]


def test_what_a_run_is_called():
    write_training('work_dirs', 'deeplabv3plus_r50_voc12aug', {'mIoU': 70.0}, images=1449)
    (run,), _ = find_runs(['work_dirs'])
    planned = json.loads((run.folder / 'record.json').read_text())['progress']['planned']
    assert str(run) == f'{run.folder} (validation at iteration {planned:,} of {planned:,})'
