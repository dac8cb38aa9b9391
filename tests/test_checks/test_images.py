"""Images that can't be read are named or skipped; those that can are read as mmcv reads them."""

import io
import struct
import zlib

import cv2
import mmcv
import numpy as np
import pytest
import torch
from mmengine.model import BaseModel
from mmengine.registry import TRANSFORMS, DefaultScope
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from res2net_mm.datasets.images import EXIF_ORIENTATION, LoadImageFromFile, image_size, read_image
from res2net_mm.engine.safe_runner import SafeRunner
from res2net_mm.errors import UserError

PICTURE = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8), (5, 5), 0)
JPEG, PNG = (cv2.imencode(suffix, PICTURE)[1].tobytes() for suffix in ('.jpg', '.png'))


def claiming(width, height):
    """A PNG of a few bytes that claims a size."""
    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    chunks = ((b'IHDR', header), (b'IDAT', zlib.compress(bytes(99))), (b'IEND', b''))
    parts = [struct.pack('>I', len(d)) + t + d + struct.pack('>I', zlib.crc32(t + d)) for t, d in chunks]
    return b'\x89PNG\r\n\x1a\n' + b''.join(parts)


UNREADABLE = {
    'empty': (b'', 'it is empty (0 bytes)'),
    'text': (b'<html>404 not found</html>', "it is not an image, it begins with b'<html>404 not "),
    'a JPEG cut off': (JPEG[:-900], 'it is damaged or cut off: image file is truncated'),
    'a JPEG of a header': (JPEG[:100], "can't be read: it is "),
    'a JPEG cut off early': (JPEG[:200], 'it is damaged or cut off in its header'),
    'a PNG cut off': (PNG[: len(PNG) // 2], 'it is damaged or cut off: image file is truncated'),
    'a sound': (b'RIFF\x24\x10\0\0WAVEfmt ', 'it is not an image'),
    'a WebP cut off early': (b'RIFF\x24\x10\0\0WEBPVP8 ', 'it is damaged or cut off in its header'),
    'zeros': (bytes(1000), 'it is not an image'),
    'HEIC': (b'\0\0\0\x24ftypheic' + bytes(99), 'it is HEIC, whatever its name ends in: convert it to JPEG'),
    'HEIC of several': (b'\0\0\0\x24ftypmif1' + bytes(99), 'it is HEIC'),
    '60,000 x 60,000': (claiming(60_000, 60_000), 'claims 60,000 x 60,000 pixels; the most that is dec'),
    'just too large': (claiming(2**14, 2**14 + 1), 'max_pixels of the pipeline'),
    'a size without pixels': (claiming(300, 200), "can't be read: it is damaged"),
}  # fmt: skip


@pytest.mark.parametrize('fault', UNREADABLE)
def test_unreadable_images_are_named(fault, tmp_path):
    content, text = UNREADABLE[fault]
    path = tmp_path / 'bad.jpg'
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        LoadImageFromFile().transform(dict(img_path=str(path)))
    assert str(error.value).startswith(str(path)) and text in str(error.value)
    assert LoadImageFromFile(bad_images='skip').transform(dict(img_path=str(path))) is None
    assert LoadImageFromFile(ignore_empty=True).transform(dict(img_path=str(path))) is None


def test_files_that_are_none(tmp_path):
    for path, text in ((tmp_path / 'gone.jpg', 'No such file'), (tmp_path, 'Is a directory')):
        with pytest.raises(UserError, match=f"{path} can't be read: {text}"):
            LoadImageFromFile().transform(dict(img_path=str(path)))
    with pytest.raises(UserError, match="'stop' or 'skip'"):
        LoadImageFromFile(bad_images='ignore')


def test_the_limit_can_be_set(tmp_path):
    (tmp_path / 'a.png').write_bytes(PNG)
    assert read_image(str(tmp_path / 'a.png'), max_pixels=4800).shape == (60, 80, 3)
    with pytest.raises(UserError, match='claims 80 x 60 pixels; the most that is decoded is 4,799'):
        read_image(str(tmp_path / 'a.png'), max_pixels=4799)


def test_pillows_own_limit_holds_again_behind_a_header():
    limit = Image.MAX_IMAGE_PIXELS
    assert image_size(claiming(60_000, 60_000)) == (60_000, 60_000) and image_size(b'') is None
    assert Image.MAX_IMAGE_PIXELS == limit and limit


@pytest.mark.parametrize('orientation', range(1, 9))
def test_the_size_is_that_of_the_image_as_it_is_read(orientation, tmp_path):
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    content = pillow('RGB', format='JPEG', exif=exif)
    (tmp_path / 'a.jpg').write_bytes(content)
    assert image_size(content) == read_image(str(tmp_path / 'a.jpg')).shape[1::-1]


def pillow(mode, **options):
    picture = Image.fromarray(PICTURE[..., ::-1]).convert(mode)
    stream = io.BytesIO()
    picture.save(stream, **options)
    return stream.getvalue()


ROTATED = Image.Exif()
ROTATED[274] = 6
KINDS = {
    'gray': pillow('L', format='PNG'),
    'gray and alpha': pillow('LA', format='PNG'),
    '16 bits': cv2.imencode('.png', PICTURE[..., 0].astype(np.uint16) * 257)[1].tobytes(),
    '16 bits, color': cv2.imencode('.tif', PICTURE.astype(np.uint16) * 257)[1].tobytes(),
    'bits': pillow('1', format='PNG'),
    'RGBA': pillow('RGBA', format='PNG'),
    'palette': pillow('P', format='PNG'),
    'GIF': pillow('P', format='GIF'),
    'CMYK': pillow('CMYK', format='JPEG', quality=98),
    'BMP': pillow('RGB', format='BMP'),
    'WebP': pillow('RGB', format='WEBP', lossless=True),
    'turned by EXIF': pillow('RGB', format='JPEG', exif=ROTATED, quality=98, subsampling=0),
    '2000 x 3': cv2.imencode('.png', np.zeros((3, 2000, 3), np.uint8))[1].tobytes(),
    '1 x 1': cv2.imencode('.png', np.zeros((1, 1, 3), np.uint8))[1].tobytes(),
}


@pytest.mark.parametrize('kind', KINDS)
def test_images_are_read_as_by_mmcv(kind, tmp_path):
    path = str(tmp_path / 'image')
    (tmp_path / 'image').write_bytes(KINDS[kind])
    results = LoadImageFromFile().transform(dict(img_path=path))
    expected = mmcv.transforms.LoadImageFromFile().transform(dict(img_path=path))
    np.testing.assert_array_equal(results['img'], expected['img'])
    assert results['img'].dtype == np.uint8 and results['img'].ndim == 3
    assert results['ori_shape'] == results['img_shape'] == results['img'].shape[:2] == expected['ori_shape']
    assert image_size(KINDS[kind]) == results['img'].shape[1::-1]


@pytest.mark.parametrize(
    'kind,center',
    [('RGBA', PICTURE[30, 40]), ('16 bits, color', PICTURE[30, 40]), ('turned by EXIF', PICTURE[20, 30])],
)
def test_what_is_read_is_right(kind, center, tmp_path):
    (tmp_path / 'image').write_bytes(KINDS[kind])
    image = read_image(str(tmp_path / 'image'))
    if kind == 'turned by EXIF':  # by 90 degrees, clockwise: column x comes from row 59 - x
        assert image.shape == (80, 60, 3)
        np.testing.assert_allclose(image[30, 59 - 20].astype(int), center, atol=12)
    else:
        np.testing.assert_allclose(image[30, 40].astype(int), center, atol=1)


def test_float_images_given_ones_and_its_name(tmp_path):
    loader = TRANSFORMS.build(dict(type='res2net_mm.LoadImageFromFile', to_float32=True))
    results = loader.transform(dict(img=PICTURE))
    assert results['img'].dtype == np.float32 and results['img_path'] is None
    assert results['img_shape'] == (60, 80)


class Images(Dataset):
    def __init__(self, path):
        self.path = path

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return torch.tensor(LoadImageFromFile().transform(dict(img_path=self.path))['img'])


def test_a_data_workers_error_is_only_its_message(tmp_path):
    with pytest.raises(UserError) as error:
        next(iter(DataLoader(Images(str(tmp_path / 'gone.jpg')), num_workers=1)))
    assert str(error.value) == f"{tmp_path / 'gone.jpg'} can't be read: No such file or directory"


class Mean(BaseModel):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, inputs, data_samples=None, mode='loss'):
        return dict(loss=self.scale * torch.stack(list(inputs)).float().mean())


def trained(root, workers, pipeline, **train_cfg):
    dataset = dict(type='CustomDataset', data_root=str(root / 'data'), pipeline=pipeline)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        runner = SafeRunner(
            Mean(),
            str(root / 'run'),
            train_dataloader=dict(
                batch_size=2,
                num_workers=workers,
                dataset=dataset,
                sampler=dict(type='DefaultSampler', shuffle=False),
                collate_fn=dict(type='pseudo_collate'),
            ),
            train_cfg=train_cfg,
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
            default_scope='mmpretrain',
            experiment_name=f'images_{root.name}',
            log_level='WARNING',
        )
        runner.train()
    return runner


@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.parametrize('loop', [dict(by_epoch=True, max_epochs=2), dict(by_epoch=False, max_iters=6)])
def test_skipped_images_are_listed(workers, loop, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr('torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL', 0.1)  # s; else 5 for each worker
    for name in 'abcdef':
        (tmp_path / 'data' / name).mkdir(parents=True)
        (tmp_path / 'data' / name / f'{name}.png').write_bytes(PNG)
    bad = tmp_path / 'data' / 'b' / 'b.png'
    bad.write_bytes(PNG[:99])
    steps = [dict(type='PackInputs')]
    with pytest.raises(UserError, match=f"^{bad} can't be read: "):
        trained(tmp_path, workers, [dict(type='LoadImageFromFile'), *steps], **loop)
    load = dict(type='LoadImageFromFile', bad_images='skip')
    trained(tmp_path, workers, [load, *steps], **loop)
    printed = ''.join(capfd.readouterr())
    lines = set((tmp_path / 'run' / 'skipped_images.txt').read_text().splitlines())
    assert len(lines) == 1 and lines.pop().startswith(f"{bad} can't be read: it is damaged or cut off")
    assert printed.count('1 images were skipped, other samples took their places') == 1
    assert load == dict(type='LoadImageFromFile', bad_images='skip')  # the config stays as it was
