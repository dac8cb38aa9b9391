"""Tables 1 to 4 and Figure 5: errors from accuracies, series of networks."""

from decimal import Decimal

from runs import cells, write_test

from res2net_mm.results.paper_tables import paper_tables, specs
from res2net_mm.results.plots import plot
from res2net_mm.results.records import find_runs
from res2net_mm.results.render import FORMATS
from res2net_mm.results.report import report


def accuracy(top1, top5):
    return {'accuracy/top1': top1, 'accuracy/top5': top5}


def fill(root, name):
    runs, problems = find_runs([root])
    assert not problems
    (table,), left_out, _ = paper_tables(runs, [name])
    return table, left_out


def test_the_tables_show_errors_and_a_gain_is_less_of_them(tmp_path):
    write_test(tmp_path, 'r50_imagenet', accuracy(76.136, 92.862), images=50000)
    write_test(tmp_path, 'r2n50_imagenet', accuracy(77.99, 93.85), images=50000)
    for name, labels in (('1', ['Res2Net-50']), ('3', ['Res2Net-50 preserved', '26w×4s'])):
        table, left_out = fill(tmp_path, name)
        top1, top5 = cells(table, *labels)[-2:]
        assert left_out == [] and not any(run.changes + run.footnotes for run in table.runs)
        assert (top1.measured, top1.difference, top5.measured) == (Decimal('22.01'), 0, Decimal('6.15'))
        gain = table.rows[[r.labels for r in table.rows].index(labels) + 1].cells[-2]
        assert gain.published['paper'] == Decimal('1.84') and gain.measured == Decimal('1.854')
    assert cells(table, 'ResNet-50', '64w')[-2].measured == Decimal('23.864')
    flops, runtime = cells(table, 'ResNet-50', '64w')[:2]
    assert (flops.published['paper'], runtime.published['paper']) == ('4.2G', '149ms')
    assert flops.measured is None and not flops.open


def test_a_part_of_the_images_or_another_crop_is_kept_out(tmp_path):
    write_test(tmp_path / 'a', 'r50_imagenet', accuracy(90, 99), images=100)
    crop = {'test_dataloader.dataset.pipeline.2.crop_size': 320}
    write_test(tmp_path / 'b', 'r50_imagenet', accuracy(80, 99), images=50000, options=crop)
    table, left_out = fill(tmp_path, '1')
    assert table.runs == [] and len(left_out) == 2
    assert any('100 images, Table 1 needs 50,000' in reason for _, reason in left_out)
    assert any('pipeline.2.crop_size=320, not 224' in reason for _, reason in left_out)


def test_networks_without_a_config_are_not_awaited():
    (table,), *_ = paper_tables([], ['4'])
    assert not any(cell.open for cell in cells(table, 'Wide ResNet'))
    assert [cell.open for cell in cells(table, 'ResNeXt-29, 8c×64w')] == [False, True]


def test_figure_5_is_of_what_was_measured_alone(tmp_path):
    (table,), *_ = paper_tables([], ['Figure 5'])
    assert plot([table], tmp_path / 'plots') == []
    for config, top1, size in (
        ('rx29_6c24w', 80.5, 6_900_000),
        ('r2nx29_6c24w4s', 83.02, 24_260_000),
        ('rx56_6c24w', 81.25, 13_000_000),
    ):
        parameters = dict(model=size + 25_700, backbone=size)
        write_test(tmp_path, f'{config}_cifar100', accuracy(top1, 95), images=10000, parameters=parameters)
    table, left_out = fill(tmp_path, 'Figure 5')
    assert left_out == [] and table.sources == {} and table.title.startswith('Figure 5. ')
    size, top1 = cells(table, 'scale', 'Res2NeXt-29, 6c×24w×4s')
    assert (size.measured, top1.measured) == (Decimal('24.26'), Decimal('83.02'))
    assert len([r for r in table.rows if r.cells[1].measured is not None]) == 5  # the first is in each series
    for form in FORMATS.values():
        text = form([table], [])
        assert '83.02' in text and '24.26' in text and 'paper,' not in text
    assert 'The paper gives no numbers of this figure' in FORMATS['markdown']([table], [])
    paths = plot([table], tmp_path / 'plots')
    assert paths[0].name == 'figure_5.png' and paths[0].read_bytes().startswith(b'\x89PNG')
    # Table 4 takes the error of the same run.
    assert cells(fill(tmp_path, '4')[0], 'Res2NeXt-29, 6c×24w×4s')[1].measured == Decimal('16.98')


def test_figure_5_as_it_is_asked_for(tmp_path, capsys):
    report([str(tmp_path)], figure=['5'])
    printed = capsys.readouterr()
    assert 'Figure 5. ' in printed.out and 'Table' not in printed.out and 'Plot' not in printed.err
    write_test(tmp_path, 'rx29_6c24w_cifar100', accuracy(80.5, 95), images=10000)
    report([str(tmp_path)], figure=['5'])
    assert f'Plot: {tmp_path}/figure_5.png' in capsys.readouterr().err
    assert (tmp_path / 'figure_5.png').exists()
    report([str(tmp_path)], figure=['5'], plots=str(tmp_path / 'plots'))
    assert sum(path.name == 'figure_5.png' for path in (tmp_path / 'plots').iterdir()) == 1


def test_a_series_changes_one_thing():
    """From 29 layers, cardinality 6 and scale 1."""
    (group, depth, scale) = ([r['row'][0] for r in g['rows']] for g in specs()['Figure 5']['groups'])
    assert group[0] == depth[0] == scale[0] == 'ResNeXt-29, 6c×24w'
    assert all(n.startswith('ResNeXt-29, ') and n.endswith('c×24w') for n in group)
    assert all(n.endswith(', 6c×24w') for n in depth)
    assert [n.removeprefix('Res2NeXt-29, 6c×24w×') for n in scale[1:]] == ['2s', '3s', '4s', '5s', '6s']
