"""requirements/install.sh: what it decides before it makes anything."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def checkout(tmp_path):
    """A checkout as far as the script reads it."""
    shutil.copytree(ROOT / 'requirements', tmp_path / 'requirements')
    shutil.copy(ROOT / 'setup.py', tmp_path)
    (tmp_path / 'res2net_mm' / 'ops').mkdir(parents=True)
    shutil.copy(ROOT / 'res2net_mm' / 'ops' / 'ext.py', tmp_path / 'res2net_mm' / 'ops')
    return tmp_path


def install(checkout, **environment):
    return subprocess.run(
        ['bash', checkout / 'requirements' / 'install.sh'],
        env={**os.environ, 'OPS': '', **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    'environment,message',
    [
        (dict(OPS='fast'), "OPS is 'torchvision' or 'compiled', not 'fast'."),
        (dict(OPS='compiled', CXX='no-such-compiler'), "OPS=compiled needs a C++17 compiler, and 'no-such-"),
        (dict(PYTHON='no-such-python'), 'needs CPython 3.10 to 3.14 with venv'),
    ],
)
def test_what_it_cannot_use(environment, message, checkout):
    result = install(checkout, **environment)
    assert result.returncode == 1 and f'install.sh: {message}' in result.stderr
    assert not (checkout / '.venv').exists()


def test_an_environment_of_the_users_own_is_left_alone(checkout):
    (checkout / '.venv' / 'bin').mkdir(parents=True)
    (checkout / '.venv' / 'mine').write_text('precious')
    result = install(checkout)
    assert result.returncode == 1 and "this script didn't make" in result.stderr
    assert (checkout / '.venv' / 'mine').read_text() == 'precious'


def test_what_was_there_comes_back_where_the_new_one_fails(checkout):
    """Out of date, and neither pip nor uv reaches an index; nor is anything else of the user's removed."""
    (checkout / '.venv').mkdir()
    (checkout / '.venv' / 'installed').write_text('torchvision out of date')
    (checkout / '.venv.old').mkdir()
    result = install(checkout, PIP_INDEX_URL='http://127.0.0.1:9/simple', PIP_RETRIES='0', PIP_NO_INDEX='1',
                     PIP_FIND_LINKS='', PIP_CONFIG_FILE=os.devnull)  # fmt: skip
    assert 'Making .venv again: it is incomplete, out of date' in result.stdout
    assert result.returncode == 1 and 'can it reach its package index?' in result.stderr
    assert 'the one that was there is back' in result.stderr
    assert (checkout / '.venv' / 'installed').read_text() == 'torchvision out of date'
    assert sorted(p.name for p in checkout.glob('.venv*')) == ['.venv', '.venv.old']


@pytest.mark.parametrize('made', [True, False])
def test_what_a_killed_run_was_to_replace_comes_back(made, checkout):
    stamps = {'.venv-replaced-by-install.sh': 'compiled x'} | (
        {'.venv': 'compiled incomplete'} if made else {}
    )
    for folder, stamp in stamps.items():
        (checkout / folder).mkdir()
        (checkout / folder / 'installed').write_text(stamp)
    result = install(checkout, CXX='no-such-compiler')  # OPS is what it was
    assert result.returncode == 1 and 'OPS=compiled needs a C++17 compiler' in result.stderr
    assert (checkout / '.venv' / 'installed').read_text() == 'compiled x'
    assert [p.name for p in checkout.glob('.venv*')] == ['.venv']


def lines(file):
    text = (ROOT / 'requirements' / file).read_text()
    return [line for line in text.splitlines() if line and not line.startswith('#')]


def test_every_package_is_pinned():
    """So that the environment is the same everywhere and each day."""
    pins = dict(line.split('==') for line in lines('constraints.txt'))
    assert set(lines('environment.txt')) | {'uv', 'xtcocotools'} <= pins.keys()
    left_out = {line.partition(';')[0] for line in lines('overrides.txt') if ';' in line}
    assert left_out - pins.keys() == {'chumpy', 'opencv-python'}


def test_an_environment_of_the_users_own_is_left_alone_after_a_killed_run(checkout):
    for folder in ('.venv', '.venv-replaced-by-install.sh'):
        (checkout / folder).mkdir()
    (checkout / '.venv-replaced-by-install.sh' / 'installed').write_text('torchvision x')
    (checkout / '.venv' / 'mine').write_text('precious')
    assert "this script didn't make" in install(checkout).stderr
    assert (checkout / '.venv' / 'mine').read_text() == 'precious'
