"""Every command and every Python block of README and docs: run on small stand-ins, or at least understood."""

import itertools
import logging
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from tempfile import TemporaryDirectory

import own_folders
import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.registry import MODELS, DefaultScope
from mmengine.visualization import Visualizer
from torchvision.models import ResNet50_Weights, resnet50

from res2net_mm.__main__ import commands as named_commands
from res2net_mm.checkpoints import RELEASED, write_sha256
from res2net_mm.config import load_config
from res2net_mm.models import Res2Net

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]
FENCE = re.compile(r'^```(\w*)\n(.*?)^```$', re.S | re.M)

# What is no tool of this project isn't run. What is neither is new: add it here, with a reason.
OTHERS = {
    r'pip install .+': 'changes the environment',
    r'(git clone|cd|ln -s|unrar x) .+': 'prepares a folder; needs a network or archives',
    r'(hf|mim) (download|search|install) .+': 'needs a network',
    r'python -m pytest.*': 'is this',
    r'res2net-mm( --help)?': 'run by test_commands.py',
}
# Tools that are given what they can't be given here; their options are read all the same.
NOT_RUN = {
    r'tools/check_data\.py': 'starts processes of its own; run by test_check_data.py',
    r'tools/(benchmark|complexity)\.py': 'minutes: all networks; their own tests run them on less',
    r'tools/receptive_fields\.py': '20 s each; run by test_visualization_tools.py',
    r'tools/own_data\.py data/': 'run by test_docs.py, on folders like those of the page',
}
# What a command says (the first that matches a whole word), and what it is given here.
STAND_INS = {
    r'CONFIG|(?!res2net_mm::|tools/)\S+\.py': 'tiny.py',
    r'CHECKPOINT|\S+\.pth': 'trained/epoch_1.pth',
    r'PICTURES|INPUT|IMAGES|data/\S+': 'pictures',
    r'\w+\.jpg': 'pictures/1.jpg',
    r'TRUTH': 'truth.json',
    r'DIR|DOWNLOADS': 'downloads',
    r'FOLDER': 'folder',
    r'METHOD': 'faster_rcnn',
    r'K=V': 'randomness.seed=1',
}
# What a tool leaves or prints where it is run.
LEAVES = {
    'grad_cam': 'grad_cam.npz',
    'own_data': 'folder_faster_rcnn.py',
    'predict': 'predictions/index.html',
    'prepare_data': 'printed: is not ready',
    'publish_model': 'trained/trained-????????*.pth',
    'receptive_fields': 'receptive_fields.png',
    'report': 'report/report.html',
    'results': 'printed: Table 10',
    'test': 'work_dirs/tiny/*/*.json',
    'train': 'work_dirs/tiny/epoch_1.pth',
}


def commands() -> list[str]:
    """The lines of all shell blocks, and the code in sentences that is a command."""
    found = []
    for page in PAGES:
        text = page.read_text('utf-8')
        for label, block in FENCE.findall(text):
            if label in ('shell', 'bash') or (not label and block.startswith('python ')):
                found += block.replace('\\\n', ' ').splitlines()
        known = r'(\w+=\S+ )*(python|make|res2net-mm|tools/\S+\.(py|sh)) ', *OTHERS
        spans = re.findall('`([^`]+)`', FENCE.sub('', text))
        found += [span for span in spans if any(re.match(start, span) for start in known)]
    found = [' '.join(re.sub(r'(^|\s)#\s.*', '', line).split()) for line in found]
    return [*dict.fromkeys(filter(None, found))]


def variants(command: str) -> list[list[str]]:
    """A command's words without what is in brackets, and with each choice of that."""
    command = re.sub(r'(?<=[A-Z]) ?\.\.\.', '', command)  # "INPUT..." and "NAME ..." may be one
    brackets = r' \[([^]]*)\]'
    choices = []
    for option in re.findall(brackets, command):
        first, *others = option.split(' | ')
        choices.append([first, *(f'{first.split()[0]} {other}' for other in others)])
    bare = re.sub(brackets, '', command)
    texts = dict.fromkeys([bare, *(' '.join([bare, *chosen]) for chosen in itertools.product(*choices))])
    return [[stand_in(word) for word in shlex.split(text)] for text in texts]


def stand_in(word: str) -> str:
    return next((new for old, new in STAND_INS.items() if re.fullmatch(old, word)), word)


def find_tool(words: list[str]) -> tuple[Path, list[str]] | None:
    """The script that a command runs, and its arguments; nothing for other programs' commands."""
    words = list(itertools.dropwhile(lambda word: re.match(r'\w+=', word), words))
    if words[:3] == ['python', '-m', 'res2net_mm'] or words[0] == 'res2net-mm':
        name, *arguments = words[3:] if words[0] == 'python' else words[1:]
        return named_commands().get(name, ROOT / 'tools' / f'no command {name}'), arguments
    words = words[words[0] == 'python' :]
    if not words[0].startswith('tools/'):
        return None
    script, *arguments = words
    if script.endswith('.sh'):  # what it would have a launcher run
        with TemporaryDirectory() as folder:
            Path(folder, 'srun').symlink_to(shutil.which('echo'))
            environment = {**os.environ, 'PYTHON': 'echo', 'PATH': f'{folder}:{os.environ["PATH"]}'}
            printed = subprocess.check_output(
                ['bash', script, *arguments], cwd=ROOT, env=environment, text=True
            )
        launched = re.fullmatch(r'.*?(tools/\w+\.py) (.*)\n', printed)
        script, arguments = launched.groups()
        arguments = arguments.split()
    return ROOT / script, arguments


@pytest.mark.parametrize('command', commands())
def test_what_a_command_names_is_there(command, monkeypatch):
    """A tool takes the options, make has the targets and variables; all else is one of OTHERS."""
    if any(re.fullmatch(pattern, command) for pattern in OTHERS):
        return
    for words in variants(command):
        if 'make' in words:
            _, _, targets = command.partition('make ')
            assert subprocess.run(['make', '-n', *shlex.split(targets)], cwd=ROOT).returncode == 0
            names = re.findall(r'\b([A-Z]+)=', command)
            files = [(ROOT / file).read_text() for file in ('Makefile', 'requirements/install.sh')]
            assert all(re.search(rf'\b{name}\b', ''.join(files)) for name in names)
            continue
        script, arguments = find_tool(words) or pytest.fail(f'{command}: of no known program')
        monkeypatch.setattr(sys, 'argv', [script.name, *arguments])
        tool = runpy.run_path(str(script))
        if arguments != ['...']:  # any
            (tool.get('parse_args') or tool['parser'].parse_args)()


def to_run() -> list[str]:
    """What commands of tools run here, without what is in brackets, each once."""
    found = []
    for command in commands():
        if not any(re.search(pattern, command) for pattern in [*OTHERS, *NOT_RUN]):
            script, arguments = find_tool(variants(command)[0]) or (None, [])
            # Launched by torchrun: test_train_under_torchrun.
            if script and arguments != ['...'] and '--launcher' not in arguments:
                found.append(shlex.join([script.stem, *arguments]))
    return [*dict.fromkeys(found)]


@pytest.fixture(scope='module')
def downloaded(tmp_path_factory):
    """Files of random weights where the released ones would be downloaded to."""
    home = tmp_path_factory.mktemp('torch_home')
    folder = home / 'hub' / 'checkpoints'
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    weights = Res2Net(depth=50).state_dict() | {
        'fc.weight': torch.randn(1000, 2048),
        'fc.bias': torch.zeros(1000),
    }
    for name in {*re.findall(r'res2net://(\w+)', ''.join(page.read_text('utf-8') for page in PAGES))} - {
        'NAME'
    }:
        assert name == 'res2net50_26w_4s', 'make other weights, too'
        torch.save(weights, folder / f'{name}-{RELEASED[name]}.pth')
    torch.save(resnet50().state_dict(), folder / Path(ResNet50_Weights.IMAGENET1K_V1.url).name)
    for path in [*folder.iterdir()]:
        write_sha256(path)
    return home


@pytest.fixture
def desk(tmp_path, monkeypatch, downloaded, tiny_config):
    """An empty folder with what STAND_INS name, to work in; what a process changes is undone."""
    shutil.copy(tiny_config, tmp_path)
    (tmp_path / 'downloads').mkdir()
    for i in range(6):
        own_folders.picture(tmp_path / 'pictures' / f'{i}.jpg', (96, 64), i)
        own_folders.voc(tmp_path / 'folder' / f'{i}.xml', ('cat', 'dog')[i % 2], f'{i}.jpg')
        own_folders.picture(tmp_path / 'folder' / f'{i}.jpg')
    monkeypatch.setenv('TORCH_HOME', str(downloaded))
    monkeypatch.setattr(logging.getLogger('faster_coco_eval'), 'handlers', [])
    for manager in (DefaultScope, MMLogger):
        monkeypatch.setattr(manager, '_instance_dict', manager._instance_dict.copy())
    for kind in (Visualizer, *Visualizer.__subclasses__()):  # without other tests' visualizers
        monkeypatch.setattr(kind, '_instance_dict', OrderedDict())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize('command', to_run())
def test_a_command_runs(command, desk, trained, monkeypatch, capsys):
    tool, *arguments = shlex.split(command)
    shutil.copytree(trained[0], 'trained')
    shutil.copytree(trained[0], 'work_dirs/run')
    monkeypatch.setattr(sys, 'argv', [f'{tool}.py', *arguments])
    code = 0
    try:
        runpy.run_path(str(ROOT / 'tools' / f'{tool}.py'), run_name='__main__')
    except SystemExit as error:
        code = error.code or 0
    printed = ''.join(capsys.readouterr())
    print(printed)
    assert code == (tool == 'prepare_data')  # what it would prepare is missing
    left = LEAVES[tool]
    assert left.removeprefix('printed: ') in printed if ':' in left else [*Path().glob(left)]
    outputs = [
        new for option, new in itertools.pairwise(arguments) if option in ('--show-dir', '--out', '-o')
    ]
    assert all(Path(output).exists() for output in outputs)


def python_blocks(page: Path) -> list[str]:
    return [block for label, block in FENCE.findall(page.read_text('utf-8')) if label == 'python']


@pytest.mark.parametrize('page', [*filter(python_blocks, PAGES)], ids=lambda page: page.name)
def test_python_blocks(page, desk):
    """Of a page, in turn; configs are read, and what they say of models is built."""
    variables = {}
    if 'epoch_12.pth' in page.read_text('utf-8'):
        cfg = load_config('res2net_mm::faster_rcnn_r2n50_fpn_coco.py')
        with DefaultScope.overwrite_default_scope('mmdet'):
            torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), 'epoch_12.pth')
        shutil.copy('pictures/1.jpg', 'street.jpg')
    for block in python_blocks(page):
        if re.search(r'^(model|_base_) = ', block, re.M):
            Path('config.py').write_text(block)
            model = load_config('config.py').model
            with DefaultScope.overwrite_default_scope('mmdet'):
                for part in [model] if 'type' in model else model.values():
                    assert sum(p.numel() for p in MODELS.build(part).parameters()) > 1e7
        else:
            exec(compile(block, page.name, 'exec'), variables)


def test_blocks_have_known_labels():
    labels = {label for page in PAGES for label, _ in FENCE.findall(page.read_text('utf-8'))}
    assert labels <= {'shell', 'bash', 'python', 'text', 'bibtex', ''}
