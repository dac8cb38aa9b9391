"""Files that are damaged or hostile: one message each, and no other weights than those that were saved."""

import http.server
import io
import threading
import time
import zipfile
from types import SimpleNamespace

import pytest
import torch
from mmengine.runner.checkpoint import CheckpointLoader
from safetensors.torch import save as save_safetensors

from res2net_mm.checkpoints import (
    CheckpointError,
    check_file,
    check_weights,
    download,
    load_pretrained,
    publish,
    read_checkpoint,
    reading,
    safe_loading,
    sha256,
    write_sha256,
)
from res2net_mm.checkpoints.integrity import hash_in_name, policy
from res2net_mm.models import Res2Net

TINY = dict(depth=(1, 1, 1, 1), base_channels=8, stem_channels=8, scales=2, base_width=4)
STATE = {f'layer{i}.{name}': torch.randn(24, 8) for i in range(4) for name in ('weight', 'bias')}


def saved(content, zipped=True):
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


FORMATS = {
    'zip.pth': lambda: saved(STATE),
    'legacy.pth': lambda: saved(STATE, zipped=False),
    'model.safetensors': lambda: save_safetensors(STATE),
}


def flip(path, positions):
    """Flip one byte at a time; count the files that were refused, or loaded alike or as other weights."""
    whole, counts = path.read_bytes(), dict(refused=0, alike=0, other=0)
    for number, position in enumerate(positions):
        content = bytearray(whole)
        content[position] ^= 1 << number % 8
        path.write_bytes(content)
        try:
            read = read_checkpoint(path)
            alike = read.keys() == STATE.keys() and all(torch.equal(read[k], STATE[k]) for k in STATE)
            counts['alike' if alike else 'other'] += 1
        except CheckpointError:
            counts['refused'] += 1
    path.write_bytes(whole)
    return counts


@pytest.mark.parametrize('name', FORMATS)
@pytest.mark.parametrize('step', [199, pytest.param(3, marks=pytest.mark.slow)])
def test_no_flipped_byte_loads_as_other_weights(name, step, tmp_path):
    path = tmp_path / name
    path.write_bytes(FORMATS[name]())
    write_sha256(path)
    positions = range(step // 2, path.stat().st_size, step)
    assert flip(path, positions) == dict(refused=len(positions), alike=0, other=0)
    read_checkpoint(path)


@pytest.mark.parametrize('name', FORMATS)
@pytest.mark.parametrize('step', [199, pytest.param(3, marks=pytest.mark.slow)])
def test_flips_without_a_hash_end_in_no_traceback_and_checksums_find_them(name, step, tmp_path):
    path = tmp_path / name
    path.write_bytes(FORMATS[name]())
    counts = flip(path, range(step // 2, path.stat().st_size, step))
    if name == 'zip.pth':
        assert counts['other'] == 0 and counts['refused'] > 2 * counts['alike']  # in the padding


def test_the_hash_beside_a_file_is_what_sha256sum_writes(tmp_path):
    path = tmp_path / 'epoch_1.pth'
    torch.save(STATE, path)
    write_sha256(path)
    assert (tmp_path / 'epoch_1.pth.sha256').read_text() == f'{sha256(path)}  epoch_1.pth\n'
    check_file(path, required=True)
    (tmp_path / 'epoch_1.pth.sha256').write_text(sha256(path).upper())  # as Windows has it
    check_file(path, required=True)
    (tmp_path / 'epoch_1.pth.sha256').write_text('')
    with pytest.raises(CheckpointError, match='holds no SHA-256; if epoch_1.pth is whole, delete .*sha256'):
        check_file(path)
    torch.save({}, tmp_path / 'other.pth')
    (tmp_path / 'epoch_1.pth.sha256').write_text(f'{sha256(tmp_path / "other.pth")} *other.pth\n')
    with pytest.raises(CheckpointError, match='is damaged: .* as .*epoch_1.pth.sha256 says'):
        read_checkpoint(path)


def test_the_hash_in_a_name(tmp_path):
    torch.save({'meta': {}, 'state_dict': STATE}, tmp_path / 'run.pth')
    path = publish(tmp_path / 'run.pth', tmp_path / 'tiny.pth')
    check_file(path, required=True)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f'{path.name} is damaged: .* as its name says'):
        read_checkpoint(path)
    names = 'a-1a2b3c4d.pth', 'a-20230901.pth', 'job-48219034.pth', 'a-550e8400e29b.pth', 'a_1a2b3c4d.pth'
    assert [hash_in_name(name) for name in names] == ['1a2b3c4d', None, None, None, None]
    assert hash_in_name('res2net50_26w_6s-19041792.pth') == '19041792'


def test_a_hash_without_a_letter_is_written_whole(tmp_path, monkeypatch):
    digest = '12345678' + 56 * 'a'
    monkeypatch.setattr(reading.hashlib, 'sha256', lambda data: SimpleNamespace(hexdigest=lambda: digest))
    torch.save({'meta': {}, 'state_dict': STATE}, tmp_path / 'run.pth')
    path = publish(tmp_path / 'run.pth', tmp_path / 'tiny.pth')
    assert path.name == f'tiny-{digest}.pth' and hash_in_name(path.name) == digest


@pytest.fixture
def options():
    """The options, which a test may set."""
    yield policy
    policy.require_hash = policy.allow_nonfinite = False


@pytest.mark.parametrize('name', FORMATS)
def test_what_has_no_hash_can_be_refused(name, options, tmp_path):
    path = tmp_path / name
    path.write_bytes(FORMATS[name]())
    options.require_hash = True
    with pytest.raises(CheckpointError, match=r'refused \(--require-hash\): .* sha256sum'):
        read_checkpoint(path)
    with safe_loading(), pytest.raises(CheckpointError, match='--require-hash'):
        CheckpointLoader.load_checkpoint(str(path))
    write_sha256(path)
    assert read_checkpoint(path).keys() == STATE.keys()


def test_the_tools_have_the_options(options):
    import publish_model
    import test as test_tool

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('sys.argv', ['publish_model.py', 'x.pth', '--allow-nonfinite'])
        assert vars(publish_model.parse_args()) == dict(checkpoint='x.pth', target=None)
    assert options.allow_nonfinite and not options.require_hash
    assert 'require_hash' not in vars(test_tool.parser.parse_args(['x.py', 'x.pth', '--require-hash']))
    assert options.require_hash


def repacked(compression=zipfile.ZIP_DEFLATED, **records):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w', compression) as archive:
        for name, content in {'version': b'3\n', 'byteorder': b'little', **records}.items():
            archive.writestr(f'archive/{name}', content)
    return buffer.getvalue()


def tuples(depth=60):
    """A pickle of a dict whose key is a tuple of twice the tuple before it, and so on."""
    pickle = b'\x80\x02})q\x00'
    for i in range(depth):
        pickle += b'h' + bytes([i]) + b'\x86q' + bytes([i + 1])
    return pickle + b'K\x01s.'


def records(content):
    with zipfile.ZipFile(io.BytesIO(saved(content))) as archive:
        return {n.removeprefix('archive/'): archive.read(n) for n in archive.namelist()}


def lying(zipped):
    """A file whose storage has more values than its data."""
    true, lie = (b'J' + n.to_bytes(4, 'little') for n in (70000, 1_900_000_000))
    if zipped:
        parts = records({'weight': torch.ones(70000)})
        return repacked(zipfile.ZIP_STORED, **{k: v.replace(true, lie) for k, v in parts.items()})
    return saved({'weight': torch.ones(70000)}, zipped=False).replace(true, lie)


HEADER = saved([], zipped=False).split(b']q\x00.')[0]
HOSTILE = {
    'compressed zeros': lambda: repacked(**{**records({}), 'data/0': bytes(50_000_000)}),
    'storage of another size': lambda: lying(True),
    'the same, before PyTorch 1.6': lambda: lying(False),
    'tuples without end': lambda: repacked(zipfile.ZIP_STORED, **{'data.pkl': tuples()}),
    'the same, pickled': lambda: HEADER + tuples(),
}


@pytest.mark.parametrize('what', HOSTILE)
def test_hostile_files_take_neither_time_nor_memory(what, tmp_path):
    path = tmp_path / 'file.pth'
    path.write_bytes(HOSTILE[what]())
    start = time.process_time()
    with pytest.raises(CheckpointError, match=f'{path}.* is (refused|cut off or damaged)') as error:
        read_checkpoint(path)
    assert time.process_time() - start < 5
    assert len(str(error.value)) < 600


def deep(levels=3000):
    content = STATE
    for _ in range(levels):
        content = {'model': content}
    return content


def shared(levels=200):
    content = {}
    for _ in range(levels):
        content = {'model': content, 'ema': content}
    return content


def circular(*others):
    content = dict(others)
    content['state_dict'] = content
    return content


def load_as_content(content, path):
    """Load what Python's pickle can't write, it nests too deep."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('res2net_mm.checkpoints.loading.read_checkpoint', lambda *args: content)
        load_pretrained(Res2Net(**TINY), path)


@pytest.mark.parametrize('content,message', [
    (deep(), 'nests more than 20 wrappers'),
    (shared(), 'holds no parameters'),
    (circular(), 'holds no parameters'),
    (circular(('conv1.weight', torch.ones(1))), 'one holds itself'),
    ({1: torch.ones(1)}, 'a name that is a int'),
    ({'state_dict': {('a',): torch.ones(1)}}, 'a name that is a tuple'),
    ({'a.' * 1000: torch.ones(1)}, 'a name of more than 1000 characters'),
])  # fmt: skip
def test_dicts_that_are_no_state_dicts(content, message, tmp_path):
    with pytest.raises(CheckpointError, match=message) as error:
        load_as_content(content, tmp_path / 'file.pth')
    assert str(error.value).startswith(f'{tmp_path}/file.pth was not loaded: ')


STRANGE = {
    'NaN or infinite, first b.bias': torch.tensor([0, float('nan')]),
    'NaN or infinite, first b.bias:': torch.tensor([0, -float('inf')], dtype=torch.float16),
    'NaN or infinite, first b': torch.full((1,), float('inf')).expand(10**6, 10**6, 10**5),
    'b.bias as torch.int64, not as floating-point': torch.ones(2, dtype=torch.int64),
    'b.bias as torch.complex64, not as': torch.ones(2, dtype=torch.complex64),
    'b.bias as no plain tensor': torch.ones(2).to_sparse(),
    'b.bias as no plain': torch.ones(2, device='meta'),
    'b.bias as no': torch.quantize_per_tensor(torch.ones(2), 1.0, 0, torch.qint8),
}


@pytest.mark.parametrize('message', STRANGE)
def test_weights_that_are_none(message, tmp_path):
    state_dict = {
        'a.weight': torch.ones(3),
        'a.num_batches_tracked': torch.tensor(3),
        'b.bias': STRANGE[message],
    }
    with pytest.raises(CheckpointError, match=f'x.pth holds .*{message}'):
        check_weights(state_dict, 'x.pth')


@pytest.mark.parametrize('kind', [torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn])
def test_other_floats_are_weights(kind):
    check_weights({'weight': torch.ones(3).to(kind), 'empty.weight': torch.ones(0, 3), 'extra': None})


def test_weights_that_are_nan_are_refused_by_all_unless_asked_for(options, tmp_path):
    state_dict = Res2Net(**TINY).state_dict()
    state_dict['layer2.0.bn1.bias'][1] = float('nan')
    path = tmp_path / 'file.pth'
    torch.save({'state_dict': state_dict}, path)
    ways = [
        lambda: load_pretrained(Res2Net(**TINY), path),
        lambda: publish(path, tmp_path / 'published.pth'),
        lambda: CheckpointLoader.load_checkpoint(str(path)),  # as test.py and predict.py do
    ]
    with safe_loading():
        for way in ways:
            with pytest.raises(
                CheckpointError, match=f'{path} .*NaN or infinite, first layer2.0.bn1.bias: .*--allow'
            ):
                way()
        options.allow_nonfinite = True
        for way in ways:
            way()


def test_an_incomplete_second_network_is_refused_as_ambiguous(tmp_path):
    state = Res2Net(**TINY).state_dict()
    student = {f'student.{k}': v for k, v in state.items() if k != 'layer3.0.bn3.bias'}
    torch.save({**student, **{f'teacher.{k}': v for k, v in state.items()}}, tmp_path / 'file.pth')
    for partial in (False, True):
        with pytest.raises(CheckpointError, match="more than once, under 'teacher.' and 'student.'"):
            load_pretrained(Res2Net(**TINY), tmp_path / 'file.pth', partial=partial)
    load_pretrained(Res2Net(**TINY), tmp_path / 'file.pth', prefix='teacher')
    smaller = Res2Net(**{**TINY, 'depth': (1, 1, 1, 2)})  # another network isn't meant
    both = {**student, **{f'teacher.{k}': v for k, v in smaller.state_dict().items()}}
    torch.save(both, tmp_path / 'file.pth')
    load_pretrained(smaller, tmp_path / 'file.pth')


class Server(http.server.BaseHTTPRequestHandler):
    """Serves a checkpoint whole, cut, or not at all, by the address's first part."""

    content = saved(STATE)

    def do_GET(self):
        if self.path.startswith('/silent'):
            return self.server.ended.wait()
        cut = self.path.startswith(('/cut', '/stalled'))
        self.send_response(200)
        self.send_header('Content-Length', str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content[: len(self.content) // 2] if cut else self.content)
        if self.path.startswith('/stalled'):
            self.wfile.flush()
            self.server.ended.wait()

    def log_message(self, *args):
        pass


@pytest.fixture
def address(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    monkeypatch.setattr(download, 'TIMEOUT', 0.3)
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Server) as server:
        server.daemon_threads, server.ended = True, threading.Event()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}'
        server.ended.set()
        server.shutdown()


@pytest.mark.parametrize('kind,message', {
    'cut': r'could not download .* ended after [\d,]+ of [\d,]+ bytes',
    'silent': 'could not download .*timed out',
    'stalled': 'could not download .*timed out',
}.items())  # fmt: skip
def test_downloads_that_break_leave_nothing(kind, message, address, tmp_path):
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(f'{address}/{kind}/epoch_1.pth')
    assert not list((tmp_path / 'hub' / 'checkpoints').iterdir())


def test_a_downloaded_file_that_is_damaged_later_is_noticed(address, tmp_path):
    assert read_checkpoint(f'{address}/whole/epoch_1.pth').keys() == STATE.keys()
    (path,) = (tmp_path / 'hub' / 'checkpoints').glob('*.pth')
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match='is damaged: its SHA-256'):
        read_checkpoint(f'{address}/whole/epoch_1.pth')


@pytest.mark.parametrize('source', [
    's3://bucket/x.pth', 'petrel://x.pth', 'openmmlab:s3://bucket/x.pth', 'torchvision://nothing',
    'modelzoo://nothing', 'open-mmlab://nothing', 'openmmlab://nothing', 'mmcls://nothing', 'pavi://nothing',
    'res2net://nothing', 'ftp://x/y.pth', 'file:///x.pth', '.', '/', '~nobody-of-this-name/x.pth', 'x' * 300,
    'x\0y',
])  # fmt: skip
def test_addresses_of_nothing_are_one_message(source):
    with pytest.raises(CheckpointError) as error:
        read_checkpoint(source)
    assert source in str(error.value) or 'not found' in str(error.value)
    with safe_loading(), pytest.raises(CheckpointError):
        CheckpointLoader.load_checkpoint(source)


def test_a_folder_at_an_address_is_one_message(address, monkeypatch):
    monkeypatch.setattr(Server, 'content', b'<html><title>Index of /models/</title></html>')
    with pytest.raises(CheckpointError, match='no PyTorch checkpoint; was a web page .* delete it'):
        read_checkpoint(f'{address}/models/')
