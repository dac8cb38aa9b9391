"""What docs/other_frameworks.md shows is run, and what it makes is used."""

import re
from pathlib import Path

import pytest
import torch

PAGE = Path(__file__).parents[1] / 'docs' / 'other_frameworks.md'
BLOCKS = re.findall(r'^## (\w+).*?```python\n(.+?)```', PAGE.read_text('utf-8'), re.S | re.M)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the block of a section; return its variables."""

    def run(section):
        variables = {}
        exec(dict(BLOCKS)[section], variables)
        return variables

    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    return run


def test_torchvision(run):
    variables = run('torchvision')
    detector = variables['detector']
    image, box = torch.rand(3, 64, 96), torch.tensor([[8.0, 8, 40, 40]])
    detector.transform.min_size, detector.transform.max_size = (64,), 96
    losses = detector([image], [dict(boxes=box, labels=torch.tensor([1]))])
    sum(losses.values()).backward()
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert variables['network'].layer4[0].convs[0].weight.grad.abs().sum() > 0
    maps = detector.backbone(image[None])
    expected = [(x.shape[2], x.shape[3]) for x in variables['network'](image[None])]
    assert [tuple(maps[str(i)].shape[2:]) for i in range(4)] == expected


def test_timm(run):
    pytest.importorskip('timm')
    variables = run('timm')
    image = torch.rand(1, 3, 64, 64)
    theirs, ours = variables['timms'](image), variables['ours'](image)
    assert [x.shape for x in theirs[1:]] == [x.shape for x in ours]


def test_hugging_face(run):
    timm = pytest.importorskip('timm')
    pytest.importorskip('safetensors')
    network = run('Hugging')['network'].eval()
    theirs = timm.create_model('res2net50_26w_4s').eval()
    from safetensors.torch import load_file

    theirs.load_state_dict(load_file('model.safetensors'))
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(network(image)[-1], theirs.forward_features(image))
