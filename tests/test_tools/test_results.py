import json


def test_without_runs(run, tmp_path):
    result = run('results.py')
    assert result.returncode == 0, result.stderr
    assert 'Table 10.' in result.stdout and 'No runs were found in work_dirs.' in result.stdout
    assert '33.7' in result.stdout
    result = run('results.py', '--demo')
    assert result.returncode == 0 and 'make demo makes one' in result.stdout
    result = run('results.py', 'work_dirs', 'gone')
    assert result.returncode == 1 and result.stdout == ''
    assert result.stderr == 'results.py: error: there is no folder work_dirs, gone\n'


def test_an_unknown_table(run):
    result = run('results.py', '--table', '11')
    assert result.returncode == 2
    assert "invalid choice: '11'" in result.stderr and 'mmdet' in result.stderr


def test_what_training_and_testing_leave(trained, tiny_config, run, tmp_path):
    work_dir, _ = trained
    result = run('test.py', tiny_config, work_dir / 'epoch_1.pth', '--work-dir', 'work_dirs/tiny')
    assert result.returncode == 0, result.stderr
    result = run('results.py', '--demo', '--format', 'json', '--out', 'out/demo.json', '--plots', 'plots')
    assert result.returncode == 0, result.stderr
    (table,) = json.loads((tmp_path / 'out' / 'demo.json').read_text())['tables'].values()
    assert table['title'].startswith('Demo data: drawn scenes, not a result of the paper. tiny')
    assert table['notes'] == ['3 images'] and len(table['rows'][0]['columns']) == 10
    result = run('results.py', work_dir, '--table', '5', '6', '--format', 'csv')
    assert result.returncode == 0, result.stderr
    assert ',measured,,,' in result.stdout and 'no config of a table (tiny)' in result.stderr
    assert [p.name for p in (tmp_path / 'out').iterdir()] == ['demo.json']
