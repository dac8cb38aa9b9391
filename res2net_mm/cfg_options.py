"""``--cfg-options`` of the tools: what the values say."""

import argparse
import re

from mmengine.config import DictAction

BRACKETS = {'(': ')', '[': ']', '{': '}'}
QUOTED = re.compile(r"""(['"])(.*?)\1(?!\w)""", re.DOTALL)  # the apostrophe of 'it's' doesn't end it
SLASH = re.compile(r'[/\\]')
ROOTED = re.compile(r'/|~|\.\.?[/\\]|[\w+.-]+://|[A-Za-z]:[/\\]')  # how paths and addresses begin


class CfgOptions(argparse.Action):
    """``KEY=VALUE ...``, may be repeated: mmengine's ``DictAction``, with values by `read_value`."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Take the values of one use of the option."""
        options = dict(getattr(namespace, self.dest, None) or {})
        for option in values:
            key, equals, value = option.partition('=')
            if not (key and equals):
                raise argparse.ArgumentError(self, f'{option!r} is not of the form KEY=VALUE')
            try:
                options[key] = read_value(value)
            except (ValueError, RecursionError) as error:
                raise argparse.ArgumentError(
                    self,
                    f'{option}: {error}. It takes numbers, words, lists and tuples: put quotes around a word '
                    'with commas, brackets or quotes, write the rest in a config',
                ) from None
        setattr(namespace, self.dest, options)


def read_value(text: str):
    """Read the value of an option: what mmengine's ``DictAction`` makes of it, but for strings.

    Numbers, None, true and false (in any case) are what they look like; ``a,b`` and ``[a,b]`` are lists,
    ``(a,b)`` is a tuple, in each other to any depth; all else is a word and keeps the spaces inside of it.
    What is in quotes, by itself or in a list, is a string as it stands.

    A path keeps its brackets. One that begins with ``/``, ``./``, ``../``, ``~``, ``scheme://`` or a Windows
    drive keeps its commas, too, unless another such path follows each of them, or something in quotes follows
    one: ``/a,b/c`` is one path, ``/a,/b`` two.

    Raises:
        ValueError: If brackets or quotes don't match, or it is a dict or a call.
    """
    text = text.strip()
    if SLASH.search(text) and text[0] not in '\'"([{':
        parts = re.split(r',\s*', text.removesuffix(','))
        listed = all(map(ROOTED.match, parts)) or any(part.startswith(('"', "'")) for part in parts)
        if ',' not in text or (ROOTED.match(text) and not listed):
            return _read_word(text)
    parts = _split(text)
    return _read_item(text) if len(parts) == 1 else _read_items(parts)


def _split(text: str) -> list[str]:
    """Split at the commas that are outside of brackets and quotes."""
    parts, closing, start, at, before = [], [], 0, 0, ','
    while at < len(text):
        char = text[at]
        if char in '\'"' and before in ',([{':  # where an item begins; elsewhere it is an apostrophe
            quoted = QUOTED.match(text, at)
            if quoted is None:
                raise ValueError(f'the quote of {text[at:]} is not closed')
            at = quoted.end() - 1
        elif char in BRACKETS:
            closing.append(BRACKETS[char])
        elif char in ')]}' and (not closing or closing.pop() != char):
            raise ValueError(f'{char} closes no bracket')
        elif char == ',' and not closing:
            parts.append(text[start:at].strip())
            start = at + 1
        before = before if char.isspace() else char
        at += 1
    if closing:
        raise ValueError(f'{closing[-1]} is missing')
    return [*parts, text[start:].strip()]


def _read_items(parts: list[str]) -> list:
    return [_read_item(part) for part in (parts if parts[-1] else parts[:-1])]


def _read_item(text: str):
    """Read what is between two commas."""
    quoted = QUOTED.match(text)
    if quoted and quoted.end() == len(text):
        return quoted[2]
    if text[:1] in BRACKETS and text.endswith(BRACKETS[text[0]]):
        try:
            parts = _split(text[1:-1])
        except ValueError:  # (a)/(b)
            return _read_word(text)
        if text[0] != '{':
            return _read_items(parts) if text[0] == '[' else tuple(_read_items(parts))
        raise ValueError(f'{text} is a dict')
    return _read_word(text)


def _read_word(text: str):
    """Read what is neither quoted nor a list."""
    if text[:1] in ('"', "'") or text.endswith(('"', "'")) or text.count('"') % 2:
        raise ValueError(f'{text} is only partly in quotes')
    if re.match(r'dict\s*\(', text):
        raise ValueError(f'{text} is a dict')
    if not SLASH.search(text) and (',' in text or (text[:1] in BRACKETS and text.endswith((')', ']', '}')))):
        raise ValueError(f'{text} is neither a word nor a list')
    return DictAction._parse_int_float_bool(text)
