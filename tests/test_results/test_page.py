"""The report of a set of runs, of invented figures."""

import base64
import json
import re

import cv2
import numpy as np
import pytest
from pages import Page, in_a_browser, shown_images
from runs import coco, write_test, write_training

from res2net_mm.config import load_config, shipped_configs
from res2net_mm.engine.options import use_tta
from res2net_mm.errors import UserError
from res2net_mm.results.complexity import complexity
from res2net_mm.results.page import SHOWN, write_report

R50, R2N50 = 'faster_rcnn_r50_coco', 'faster_rcnn_r2n50_coco'
ALL = ['work_dirs', 'predictions', 'work_dirs/mine']  # one of them twice
HOSTILE = '![x](http://x.org/x.png) <script>'


def draw(folder, *names, size=(30, 40)):
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((*size, 3), 20 * i, np.uint8))


@pytest.fixture(scope='module')
def report(tmp_path_factory):
    """The report of what trainings, tests and predictions left in this module's working directory."""
    root = tmp_path_factory.mktemp('runs')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        write_test('work_dirs', R50, coco(0.309, 0.513, 0.3, 0.14, 0.35, 0.46))
        unfinished = dict(reached=3, options={'optim_wrapper.optimizer.lr': 0.04})
        write_training('work_dirs', R50, coco(0.1), time='20260101_000000', **unfinished)
        write_test('work_dirs', R2N50, coco(0.338, 0.536, 0.3, 0.15, 0.38, 0.51))
        mine, options = root / 'work_dirs' / 'mine', {'model.backbone.init_cfg': HOSTILE}
        write_training('', 'my_[net]', coco(0.21, 0.4, 0.2, 0.1, 0.2, 0.3), options=options, work_dir=mine)
        (mine / 'killed' / 'vis_data').mkdir(parents=True)
        (mine / 'killed' / 'vis_data' / 'scalars.json').write_text('{"loss": 1, "step": 1}\n')
        draw(mine, 'curves.png')
        draw(mine / 'shown', *(f'{i} [a] & "b".jpg' for i in range(8)), size=(300, 1500))
        (mine / 'shown' / '0.jpg').write_text('not an image')
        draw(root / 'predictions' / 'model', 'street.jpg', 'street.png')
        (root / 'predictions' / 'index.html').touch()
        draw(root / 'work_dirs' / 'deep' / 'of_nothing', 'data.jpg')
        (root / 'work_dirs' / 'index.html').touch()
        yield write_report(ALL, 'out/report', dict(Command='report.py <x>')).absolute()


def test_both_pages_hold_tables_and_environment(report):
    assert sorted(path.name for path in report.parent.iterdir()) == ['pictures', 'report.html', 'report.md']
    page, text = Page(report), report.with_name('report.md').read_text(encoding='utf-8')
    for shown in (page.text, text.replace('\\', '')):
        for part in (
            'Runs in work_dirs, predictions, work_dirs/mine', 'report.py <x>', '4, of 3 configs',
            'Table 5. Object detection',
            '33.7', '33.8', '+0.1', '+2.9',  # published, measured, difference, gain
            'Other runs: ', 'my_[net]', '21.0',
            'work_dirs/mine/killed is not counted: it has no record.json',
            'work_dirs/mine/shown', 'predictions/model', 'x86_64', '0123456789', 'mmengine 0.10.12',
            'training, not as shipped: optim_wrapper.optimizer.lr=0.04, not 0.02', HOSTILE,
        ):  # fmt: skip
            assert part in shown, part
        assert 'Table 7.' not in shown and 'of_nothing' not in shown
    assert text.count('*measured*') == 6  # no line of what wasn't measured
    assert '41.00 | 24.26 | - |' in text


def test_the_page_is_whole_by_itself(report):
    page = Page(report)
    page.html = page.html.replace(HOSTILE.partition(' ')[0], '')  # which it shows as a text
    assert page.needs_nothing_else()
    kinds = [image.partition(';')[0] for image in page.images]
    assert kinds.count('data:image/png') == 4  # AP by size of Table 6 and of the others, curves of two
    assert kinds.count('data:image/jpeg') == SHOWN + 1
    for image in page.images:
        data = base64.b64decode(image.partition('base64,')[2], validate=True)
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None and ('png' in image[:20] or picture.shape[1] <= 720)
    assert page.text.count('[a] & "b"') == SHOWN and 'street' in page.text


def test_pictures_of_the_markdown_lie_beside_it(report):
    text = report.with_name('report.md').read_text(encoding='utf-8')
    files = re.findall(r'^!\[.*\]\((.+)\)$', text, re.M)
    assert len(files) == len(Page(report).images) == len(set(files))
    assert all((report.parent / file).is_file() for file in files)
    (street,) = re.findall(r'!\[street\]\((.+)\)', text)
    assert cv2.imread(str(report.parent / street)).mean() < 10  # the .jpg, not the .png


@in_a_browser
def test_a_browser_shows_all_of_it(report, tmp_path):
    assert shown_images(report, tmp_path) == str(len(Page(report).images))


def test_a_report_in_a_work_directory_shows_no_older_one(report):
    counts = [len(Page(write_report(ALL, 'work_dirs/mine/report')).images) for _ in range(2)]
    assert counts == [len(Page(report).images)] * 2


def test_figures_of_the_paper_too(tmp_path):
    folder = write_test(tmp_path, 'r2nx29_6c24w4s_cifar100', {'accuracy/top1': 80.0}, images=10000)
    page = Page(write_report([str(tmp_path)], tmp_path / 'report'))
    assert 'Table 4.' in page.text and 'Figure 5' in page.text and str(folder) in page.text


@pytest.mark.parametrize(
    'name, tta', [('faster_rcnn_r50_fpn_coco', False), ('deeplabv3plus_r50_voc12aug', True)]
)
def test_multiply_adds_of_the_config_that_was_run(name, tta, tmp_path):
    folder = write_test(tmp_path, name, {'mIoU': 70.0}, tta=tta)
    cfg = load_config(str(shipped_configs()[name]))
    macs = f'{complexity(cfg)["macs"]:.2f}'
    if tta:
        use_tta(cfg)
    cfg.dump(folder / 'vis_data' / 'config.py')
    report = write_report([str(tmp_path)], tmp_path / 'report')
    assert f'| 41.00 | 24.26 | {macs} |' in report.with_name('report.md').read_text(encoding='utf-8')


def test_runs_that_found_nothing(tmp_path):
    write_test(tmp_path, 'mine', {})
    text = Page(write_report([str(tmp_path)], tmp_path / 'report')).text
    assert '1, of 1 configs' in text and '2026-01-02 to' not in text


def test_nothing_to_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match='^No runs were found in work_dirs. .*record.json.'):
        write_report(['work_dirs'], 'report')
    (tmp_path / 'empty' / 'torn').mkdir(parents=True)
    (tmp_path / 'empty' / 'torn' / 'record.json').write_text(json.dumps({})[:1])
    with pytest.raises(UserError, match="No runs were found in empty.* empty/torn: its record can't be read"):
        write_report(['empty'], 'report')
    with pytest.raises(UserError, match='there is no folder gone'):
        write_report(['gone'], 'report')
    assert not (tmp_path / 'report').exists()


def test_nowhere_to_write(report, tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(UserError, match='could not write to .*file/report: '):
        write_report(['work_dirs'], tmp_path / 'file' / 'report')
