"""What README and docs say is true: links, published numbers, configs for one's own data."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import DATASETS, MODELS, DefaultScope
from PIL import Image

from res2net_mm import preflight
from res2net_mm.checkpoints import RELEASED
from res2net_mm.config import load_config, shipped_configs
from res2net_mm.results.complexity import backbone_complexity
from res2net_mm.results.paper import paper
from res2net_mm.toolboxes import import_toolbox

ROOT = Path(__file__).parents[1]
README = (ROOT / 'README.md').read_text('utf-8')
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]
ERRORS = {
    row['config']: row
    for name in '123'
    for row in paper()['tables'][name]['groups'][0]['rows']
    if 'config' in row
}


def table(heading):
    section = README.partition(f'\n## {heading}\n')[2].partition('\n## ')[0]
    rows = [line.strip('|').split('|') for line in section.splitlines() if line.startswith('|')]
    return [[cell.strip() for cell in row] for row in rows[2:]]


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text('utf-8')
    links = re.findall(r'\]\(([^)\s]+)\)', text) + re.findall(r'(?:src|srcset)="([^"]+)"', text)
    for link in links:
        if '://' not in link:
            file, _, anchor = link.partition('#')
            target = page.parent / file if file else page
            assert target.exists(), link
            headings = re.findall(r'^#+ (.+)$', target.read_text('utf-8'), re.M) if anchor else []
            slugs = [
                re.sub(r'[^\w -]', '', heading).strip().lower().replace(' ', '-') for heading in headings
            ]
            assert not anchor or anchor in slugs, link


@pytest.mark.parametrize('row', table('Model zoo'), ids=lambda row: row[0])
def test_model_zoo(row):
    name, arguments, parameters, macs, top1, weights = row
    cfg = {} if arguments == '(defaults)' else eval(f'dict({arguments.strip("`")})')
    counted = backbone_complexity({'type': 'res2net_mm.Res2Net', **cfg})
    assert f'{counted["parameters"]:.1f}' == parameters and f'{counted["macs"]:.1f}' == macs
    assert weights == 'none released' or weights.strip('`') in RELEASED
    short = {'Res2Net-50 26w4s': 'r2n50', 'Res2Net-101 26w4s': 'r2n101', 'Res2NeXt-50': 'r2nx50'}
    short.update({'SE-Res2Net-50': 'se_r2n50', 'Res2Net-DLA-60': 'r2ndla60', 'Res2NeXt-DLA-60': 'r2nxdla60'})
    short.update({'bLRes2Net-50': 'blr2n50', 'Res2Net-50 v1b': 'r2n50v1b', 'Res2Net-101 v1b': 'r2n101v1b'})
    entry = ERRORS[short.get(name, name.replace('Res2Net-', 'r2n').replace(' ', '_')) + '_imagenet']
    errors = entry.get('paper') or entry['authors']
    assert top1 == f'{100 - errors[-2]:.2f}'


def test_published_numbers_of_tasks():
    cells = {}
    for spec in paper()['tables'].values():
        for group in spec['groups']:
            for row in group['rows']:
                numbers = row.get('paper') or row.get('authors')
                if numbers and 'config' in row:
                    cells.setdefault(row['config'], numbers[0])
    checked = 0
    for task, configs, _, published, measured in table('Detection, segmentation, key points, saliency'):
        if '{' in configs:
            head, names, tail = re.fullmatch(r'`(\w*)\{(.+)\}(\w*)`', configs).groups()
            names = [head + name + tail for name in names.split(',')]
            assert all(name in shipped_configs() for name in names)
            assert [float(number) for number in published.split(' / ')] == [cells[n] for n in names], task
            checked += 1
        assert measured == 'not run'
    assert checked == 7


def own_configs():
    text = (ROOT / 'docs' / 'own_data.md').read_text('utf-8')
    return {
        re.match(r'# (\w+)\.py', code)[1]: code for code in re.findall(r'```python\n(.+?)```', text, re.S)
    }


def write_image(path, size=(40, 36), mode='RGB', value=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size[1], size[0], 3)[: 3 if mode == 'RGB' else 2], value, np.uint8)).save(path)


def make_coco(root):
    for split in ('train', 'val'):
        write_image(root / 'pets' / split / 'a.jpg')
        content = dict(
            images=[dict(id=1, file_name='a.jpg', width=40, height=36)],
            annotations=[dict(id=1, image_id=1, category_id=7, bbox=[5, 5, 20, 20], area=400, iscrowd=0)],
            categories=[dict(id=3, name='cat'), dict(id=7, name='dog')],
        )
        file = root / 'pets' / 'annotations' / f'{split}.json'
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(content))


def make_voc(root):
    box = '<xmin>5</xmin><ymin>5</ymin><xmax>25</xmax><ymax>25</ymax>'
    for split in ('train', 'val'):
        write_image(root / 'pets' / 'JPEGImages' / f'{split}.jpg')
        for file, text in {
            f'Annotations/{split}.xml': '<annotation><size><width>40</width><height>36</height></size>'
            f'<object><name>dog</name><difficult>0</difficult><bndbox>{box}</bndbox></object></annotation>',
            f'ImageSets/Main/{split}.txt': f'{split}\n',
        }.items():
            path = root / 'pets' / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


def make_masks(root):
    for split in ('train', 'val'):
        write_image(root / 'roads' / 'images' / split / 'a.jpg')
        write_image(root / 'roads' / 'masks' / split / 'a.png', mode='L')


def make_folders(root):
    for split in ('train', 'val'):
        for name in ('cat', 'dog'):
            write_image(root / 'pets' / split / name / 'a.jpg')


@pytest.mark.parametrize('name, make, label', [
    ('my_detector', make_coco, lambda item: item['data_samples'].gt_instances.labels.tolist() == [1]),
    ('my_voc_detector', make_voc, lambda item: item['data_samples'].gt_instances.labels.tolist() == [1]),
    ('my_segmenter', make_masks, lambda item: (item['data_samples'].gt_sem_seg.data == 1).all()),
    ('my_classifier', make_folders, lambda item: item['data_samples'].gt_label.item() == 0),
])  # fmt: skip
def test_configs_for_own_data(name, make, label, tmp_path, monkeypatch):
    make(tmp_path / 'data')
    (tmp_path / f'{name}.py').write_text(own_configs()[name])
    monkeypatch.chdir(tmp_path)
    cfg = load_config(f'{name}.py')
    preflight.check(cfg, 'test')
    import_toolbox(cfg.default_scope)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        for part in ('train', 'val'):
            dataset = DATASETS.build(cfg[f'{part}_dataloader'].dataset)
            assert len(dataset) == (2 if name == 'my_classifier' else 1)
            assert label(dataset[0])
        with torch.device('meta'):
            model = MODELS.build(cfg.model)
    head = (
        model.roi_head.bbox_head if 'detector' in name else getattr(model, 'decode_head', None) or model.head
    )
    assert head.num_classes == 2
    assert len(own_configs()) == 4
