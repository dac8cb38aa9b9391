"""The published numbers, held against the paper's own sums and text."""

from decimal import Decimal

import pytest

from res2net_mm.results.paper import paper
from res2net_mm.results.paper_tables import paper_tables

TABLES = {table.name: table for table in paper_tables([])[0]}


def rows(name, *labels):
    """The cells of a row and of its gain."""
    found = [i for i, row in enumerate(TABLES[name].rows) if row.labels == list(labels)]
    row, after = TABLES[name].rows[found[0]], TABLES[name].rows[found[0] + 1]
    assert after.gain
    return row.cells, after.cells


@pytest.mark.parametrize(
    'name, labels, stated',
    [
        ('1', ['Res2Net-50'], [1.84]),
        ('1', ['Res2NeXt-50'], [0.85]),
        ('1', ['Res2NeXt-DLA-60'], [0.64]),
        ('1', ['SE-Res2Net-50'], [1.68]),
        ('1', ['bLRes2Net-50'], [0.73]),
        ('1', ['Res2Net-50-299'], [1.14]),
        ('2', ['Res2Net-101'], [1.82]),
        ('3', ['Res2Net-50 preserved', '14w×8s'], [None, None, 1.99]),
        ('3', ['Res2Net-50 increased', '26w×8s'], [None, None, 3.05]),
        ('3', ['Res2Net-50-L', '18w×4s'], [None, None, 0.93]),
        ('4', ['Res2NeXt-29, 6c×24w×6s'], [None, 1.11]),
        ('5', ['VOC07', 'Res2Net-50'], [2.3]),
        ('5', ['COCO', 'Res2Net-50'], [2.6, 2.2]),
        ('6', ['AP (%)', 'Res2Net-50'], [0.5, 2.9, 4.9, 2.6]),  # the table's row Improve.
        ('6', ['AR (%)', 'Res2Net-50'], [1.4, 2.5, 3.7, 2.2]),
        ('7', ['Res2Net-50', '26w×4s'], [1.5]),
        ('7', ['Res2Net-101', '26w×4s'], [1.2]),
        ('8', ['masks', 'Res2Net-50', '26w×4s'], [1.7, 2.4, None, 0.9, 1.9, 2.8]),
        ('9', ['DUT-OMRON', 'Res2Net-50'], [0.052, 0.021]),
    ],
)
def test_gains_that_the_paper_states(name, labels, stated):
    _, gains = rows(name, *labels)
    for gain, value in zip(gains, stated):
        assert value is None or gain.published.get('paper') == Decimal(str(value))


def test_the_papers_gains_of_key_points_mix_boxes_and_are_not_shown():
    for depth, stated in (('50', '3.3'), ('101', '3.0')):
        baseline = next(r for r in TABLES['10'].rows if r.labels == ['detected', f'ResNet-{depth}'])
        row, gains = rows('10', 'ground truth', f'Res2Net-{depth}')
        assert row[0].published['paper'] - baseline.cells[0].published['paper'] == Decimal(stated)
        assert 'paper' not in gains[0].published
    assert rows('10', 'detected', 'Res2Net-50')[1][0].published == {'authors': Decimal('1.1')}


def test_scale_2_gains_nothing_on_large_objects():
    row, gains = rows('8', 'masks', 'Res2Net-50', '48w×2s')
    four, _ = rows('8', 'masks', 'Res2Net-50', '26w×4s')
    assert gains[5].published['paper'] == 0
    assert four[5].published['paper'] - row[5].published['paper'] == Decimal('2.8')


def test_tables_5_and_6_agree():
    for backbone in ('ResNet-50', 'Res2Net-50'):
        five = next(r for r in TABLES['5'].rows if r.labels == ['COCO', backbone])
        six = next(r for r in TABLES['6'].rows if r.labels == ['AP (%)', backbone])
        assert five.cells[0].published == six.cells[3].published


def test_the_file_is_complete():
    for name, spec in paper()['tables'].items():
        assert spec['title'] and spec['digits']
        for group in spec['groups']:
            assert len(group.get('metrics', spec['columns'])) == len(spec['columns']), name
            for entry in group['rows']:
                assert entry.keys() <= {'row', 'over', 'config'} | paper()['sources'].keys()
                for source in paper()['sources']:
                    assert len(entry.get(source, spec['columns'])) == len(spec['columns']), (name, entry)


def test_numbers_outside_the_paper_are_not_the_papers():
    assert all('paper' not in c.published for r in TABLES['mmdet'].rows for c in r.cells)
    others = [r for r in TABLES['8'].rows if r.labels[0] == 'boxes' or r.labels[1].endswith('-101')]
    assert others and all(c.published.keys() <= {'authors'} for r in others for c in r.cells)
