import functools
import hashlib
import http.server
import threading
from pathlib import Path

import pytest
import torch

from res2net_mm.checkpoints import publish
from res2net_mm.errors import UserError


def test_weights_alone_named_by_their_hash(run, trained, tmp_path):
    work_dir, _ = trained
    result = run('publish_model.py', work_dir / 'epoch_1.pth', 'out/tiny.pth')
    assert result.returncode == 0, result.stderr
    (path,) = (tmp_path / 'out').iterdir()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.name == f'tiny-{digest if digest[:8].isdigit() else digest[:8]}.pth'
    assert result.stdout.startswith(f'out/{path.name} (')
    published = torch.load(path, weights_only=True)  # needs no other class
    whole = torch.load(work_dir / 'epoch_1.pth', weights_only=False)
    assert published.keys() == {'meta', 'state_dict'} and 'optimizer' in whole
    data = whole['meta']['record']['data']['train']
    data['folder'] = Path(data['folder']).name  # no path of the machine that it was trained on
    for key in ('dataset_meta', 'record'):
        assert published['meta'][key] == whole['meta'][key]
    assert published['state_dict'].keys() == whole['state_dict'].keys()
    assert all(torch.equal(v, whole['state_dict'][k]) for k, v in published['state_dict'].items())


def test_errors_are_sentences(run, tmp_path):
    torch.save({'weight': torch.zeros(1)}, tmp_path / 'bare.pth')
    result = run('publish_model.py', 'bare.pth')
    assert result.returncode == 2 and 'Traceback' not in result.stderr
    message = "bare.pth is no checkpoint of a training: it has no 'state_dict'"
    assert f'publish_model.py: error: {message}' in result.stderr
    with pytest.raises(UserError, match='checkpoint not found'):
        publish(tmp_path / 'gone.pth', tmp_path / 'x.pth')
    (tmp_path / 'file').touch()
    torch.save({'state_dict': {'weight': torch.zeros(1)}}, tmp_path / 'good.pth')
    with pytest.raises(UserError, match='could not write .*/file/x-[0-9a-f]{8}.pth: '):
        publish(tmp_path / 'good.pth', tmp_path / 'file' / 'x.pth')
    with pytest.raises(UserError, match='x.onnx: the name must end in .pth'):
        publish(tmp_path / 'good.pth', tmp_path / 'x.onnx')
    assert sorted(p.name for p in tmp_path.iterdir()) == ['bare.pth', 'file', 'good.pth']


def test_of_absolute_paths_the_names_are_kept(tmp_path):
    cfg = "work_dir = '/home/me/runs/tiny'\ndata_root = '/data/coco/'\nload_from = 'https://x.org/a.pth'\n"
    cfg += 'ann_file = \'annotations/a.json\'\nresume = "C:\\me\\b.pth"'
    record = dict(checkpoint=dict(path='/home/me/a.pth', sha256='1a'), metrics={'a/b': 1.5})
    torch.save(dict(meta=dict(cfg=cfg, record=record), state_dict=dict(w=torch.zeros(1))), tmp_path / 'a.pth')
    meta = torch.load(publish(tmp_path / 'a.pth', tmp_path / 'b.pth'), weights_only=True)['meta']
    assert meta['cfg'].splitlines() == [
        "work_dir = 'tiny'", "data_root = 'coco/'", "load_from = 'https://x.org/a.pth'",
        "ann_file = 'annotations/a.json'", 'resume = "b.pth"',
    ]  # fmt: skip
    assert meta['record'] == dict(checkpoint=dict(path='a.pth', sha256='1a'), metrics={'a/b': 1.5})


def test_addresses_that_end_alike(run, tmp_path, monkeypatch):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    for number in (1, 2):
        (tmp_path / f'run{number}').mkdir()
        state = {'state_dict': {'weight': torch.full((1,), float(number))}}
        torch.save(state, tmp_path / f'run{number}' / 'epoch_1.pth')
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'hub'))
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    handler = functools.partial(Quiet, directory=tmp_path)
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for number in (1, 2):
            address = f'http://127.0.0.1:{server.server_port}/run{number}/epoch_1.pth'
            result = run('publish_model.py', address)
            assert result.returncode == 0, result.stderr
            name = result.stdout.splitlines()[-1].split(' (')[0]
            assert name.startswith('epoch_1-')  # here, by the address's last part
            assert torch.load(tmp_path / name, weights_only=True)['state_dict']['weight'] == number
        server.shutdown()
