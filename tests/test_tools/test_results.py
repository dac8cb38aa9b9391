import csv
import io
import json
import re


def test_without_runs(run, tmp_path):
    result = run('results.py')
    assert result.returncode == 0, result.stderr
    assert 'Table 10.' in result.stdout and 'No runs were found in work_dirs.' in result.stdout
    assert '33.7' in result.stdout
    result = run('results.py', 'work_dirs', 'gone')
    assert result.returncode == 2 and result.stdout == ''
    assert result.stderr == 'results.py: error: there is no folder work_dirs, gone\n'


def test_an_unknown_table(run):
    result = run('results.py', '--table', '11')
    assert result.returncode == 2
    assert "invalid choice: '11'" in result.stderr and 'mmdet' in result.stderr and 'other' in result.stderr


def test_what_training_and_testing_leave(trained, tiny_config, run, tmp_path):
    work_dir, _ = trained
    result = run('test.py', tiny_config, work_dir / 'epoch_1.pth', '--work-dir', 'work_dirs/tiny')
    assert result.returncode == 0, result.stderr
    logs = tmp_path / 'work_dirs' / 'old' / '20250101_000000' / 'vis_data'
    logs.mkdir(parents=True)
    (logs / 'scalars.json').write_text('{"loss": 1, "step": 1}\n')
    result = run(
        'results.py', '--table', 'other', '--format', 'json', '--out', 'out/o.json', '--plots', 'plots'
    )
    assert result.returncode == 0, result.stderr
    content = json.loads((tmp_path / 'out' / 'o.json').read_text())
    (table,), (record,) = content['tables'].values(), content['runs'].values()
    title = f'Other runs: CocoDataset, {tiny_config.parent}/demo/coco/val2017, 3 images, boxes, %'
    assert table['title'] == title and len(table['numbers']) == 10
    assert record['config'] == 'tiny' and record['footnotes'] == []
    (remark,) = content['remarks']
    assert remark == 'warning: work_dirs/old/20250101_000000 is not counted: it has no record.json'
    result = run('results.py', work_dir, '--table', '5', '6', '--format', 'csv')
    assert result.returncode == 0, result.stderr
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert {row['table'] for row in rows} == {'5', '6'}
    assert not any(row['value'] for row in rows if row['kind'] == 'measured')
    assert 'no config of a table (tiny)' in result.stderr
    assert [p.name for p in (tmp_path / 'out').iterdir()] == ['o.json']
    result = run('report.py')
    assert result.returncode == 0 and result.stdout == 'Report: report/report.html\n', result.stderr
    page = (tmp_path / 'report' / 'report.html').read_text()
    assert title in page and '<code>report.py</code>' in page
    text = (tmp_path / 'report' / 'report.md').read_text()
    (macs,) = re.findall(r'\| tiny \| [^|]+ \| [^|]+ \| ([^|]+) \|\n', text)
    assert 0 < float(macs) < 10
    result = run('report.py', 'old')
    assert result.returncode == 2 and result.stderr == 'report.py: error: there is no folder old\n'


def test_a_file_that_cannot_be_written(run, tmp_path):
    (tmp_path / 'file').touch()
    result = run('results.py', '--table', '5', '--out', 'file/x.md')
    assert result.returncode == 2 and result.stderr.startswith('results.py: error: ')
