"""``res2net-mm COMMAND``: the scripts of ``tools/``, also where there is no checkout."""

import ast
import sys
from pathlib import Path
from types import ModuleType

from .config import CONFIGS
from .lookup import did_you_mean

TOOLS = CONFIGS.with_name('tools')


def commands() -> dict[str, Path]:
    """The scripts by what they are called as commands; a file without ``#!`` is none."""
    files = sorted(TOOLS.glob('*.py'))
    return {p.stem.replace('_', '-'): p for p in files if p.read_bytes().startswith(b'#!')}


def main() -> None:
    """Run the command that the arguments name, as Python runs a script."""
    known = commands()
    name, *arguments = sys.argv[1:] or ['--help']
    name = name.replace('_', '-')
    if name in ('-h', '--help'):
        print('usage: res2net-mm COMMAND ...\n\nCommands (res2net-mm COMMAND --help lists the options):')
        for name, path in known.items():
            summary = ast.get_docstring(ast.parse(path.read_text('utf-8'))).partition('\n')[0]
            print(f'  {name:17} {summary}')
    elif name not in known:
        print(f'res2net-mm: error: no command {name!r}{did_you_mean(name, known)}', file=sys.stderr)
        print(f'There are: {", ".join(known)}', file=sys.stderr)
        sys.exit(2)
    else:
        sys.argv = [f'res2net-mm {name}', *arguments]
        sys.path.insert(0, str(TOOLS))
        script = sys.modules['__main__'] = ModuleType('__main__')
        script.__file__ = str(known[name])
        exec(compile(known[name].read_bytes(), script.__file__, 'exec'), vars(script))


if __name__ == '__main__':
    main()
