"""What README and docs say is true: links, published numbers, configs for one's own data."""

import re
import sys
from pathlib import Path

import own_data
import pytest
from own_examples import EXAMPLES

from res2net_mm import preflight
from res2net_mm.checkpoints import RELEASED
from res2net_mm.config import load_config, shipped_configs
from res2net_mm.own_data import METHODS
from res2net_mm.results.complexity import backbone_complexity
from res2net_mm.results.paper import paper
from res2net_mm.visualization.predict import find_images

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


OWN_DATA = (ROOT / 'docs' / 'own_data.md').read_text('utf-8')


@pytest.mark.parametrize('method', EXAMPLES)
def test_examples_of_own_data(method, tmp_path, monkeypatch, capsys):
    """What the page says is printed is, and its commands name what there is then."""
    make = EXAMPLES[method]
    monkeypatch.chdir(tmp_path)
    make(tmp_path / 'data' / make.__name__)
    (section,) = [
        part for part in OWN_DATA.split('\n## ') if f'data/{make.__name__} --method {method}' in part
    ]
    commands = [
        line.split()
        for block in re.findall('```shell\n(.+?)```', section, re.S)
        for line in block.splitlines()
    ]
    assert [command[:2] for command in commands[:2]] == [
        ['python', 'tools/own_data.py'],
        ['python', 'tools/train.py'],
    ]
    monkeypatch.setattr(sys, 'argv', commands[0][1:])
    own_data.main()
    assert re.search('```text\n(.+?)```', section, re.S)[1] == capsys.readouterr().out
    config = commands[1][2]
    cfg = load_config(config)
    preflight.check(cfg, 'test')
    if 'max_iters' in cfg.train_cfg:
        last = f'iter_{cfg.train_cfg.max_iters}.pth'
    else:
        last = f'epoch_{cfg.train_cfg.max_epochs}.pth'
    for _, tool, name, checkpoint, inputs, *_ in commands[2:]:
        assert (ROOT / tool).is_file() and name == config
        assert checkpoint == f'work_dirs/{config.removesuffix(".py")}/{last}'
        if inputs != '--show-dir':
            pictures = {Path(found).parent / Path(found).stem for found in find_images([inputs])[0]}
            assert len(pictures) == len(find_images([inputs])[0]) > 0  # no masks beside them
    if code := re.search('```python\n(.+?)```', section, re.S):
        assert code[1] == (tmp_path / config).read_text('utf-8')
    assert 'tools/predict.py' in commands[-1]


def test_the_table_of_own_data_has_every_method():
    assert (
        {*re.findall(r'`(\w+)`', ''.join(re.findall(r'^\|.*\|([^|]+)\|$', OWN_DATA, re.M)))}
        == {*EXAMPLES}
        == {*METHODS}
    )
