"""VOC's XML, as MMDetection reads it."""

import math
import os
import xml.etree.ElementTree as ET
from collections import Counter

from ..errors import UserError
from .problems import Problems, Sample, read_list, some, spread

MOST = 20_000  # files that are read before a run: some seconds


def read_xml(file: str) -> ET.Element:
    """Read an XML file that declares no entities: nested ones expand to more than any memory holds.

    Raises:
        UserError: If it isn't one.
    """
    with open(file, 'rb') as stream:
        content = stream.read()
    plain = content.replace(b'\0', b'')  # of UTF-16
    if b'<!DOCTYPE' in plain or b'<!ENTITY' in plain:
        raise UserError('it declares a document type or entities (<!DOCTYPE, <!ENTITY), which is refused')
    try:
        return ET.fromstring(content)
    except (ET.ParseError, LookupError, ValueError) as error:
        raise UserError(f'not XML: {error}') from None


def check_voc(
    list_file: str,
    classes: list[str],
    xml_folder: str,
    image_folder: str,
    annotated: bool = True,
    every: bool = False,
) -> Problems:
    """Check a list of names, and the XML files that it names.

    Args:
        list_file (str): The list.
        classes (list[str]): The config's classes.
        xml_folder (str): Where NAME.xml are.
        image_folder (str): Where NAME.jpg are.
        annotated (bool): Whether there must be an object of the classes. Default: True.
        every (bool): Whether all XML files are read, not only some of very many. Default: False.
    """
    problems = Problems()
    names = read_list(list_file, problems, strip=False)
    files = {name: os.path.join(xml_folder, f'{name}.xml') for name in names}
    missing = [repr(name) for name in names if not os.path.isfile(files[name])]
    problems.error(f'names of the list have no XML file in {xml_folder} (a line holds nothing else)', missing)
    read = spread([name for name in files if os.path.isfile(files[name])], 10**9 if every else MOST)
    counts, faults, sizes = Counter(), {}, {}
    for name in read:
        try:
            sizes[name], objects = _parse(read_xml(files[name]))
        except (UserError, OSError) as error:
            faults.setdefault(str(error), []).append(f'{name}.xml')
            continue
        counts.update(label for label, _ in objects)
        for label, box in objects:
            if label in classes and not (box[0] < box[2] and box[1] < box[3]):
                faults.setdefault('a box has no area', []).append(f'{name}.xml')
            if label in classes and sizes[name] and not _inside(box, sizes[name]):
                faults.setdefault('a box reaches beyond the image', []).append(f'{name}.xml')
    beyond = faults.pop('a box reaches beyond the image', [])
    problems.warn('XML files have a box that reaches beyond the image', beyond)
    for fault, cases in faults.items():
        problems.error(f'XML files are faulty, {fault}', cases)
    if annotated and read and not counts.keys() & set(classes):
        problems.error(
            'no object is of a class of the config.\n'
            f'    classes of the files: {some(list(counts), 20) or "none"}\n'
            f'    classes of the config: {some(classes, 20)}'
        )
    else:
        others = [f'{label} ({n:,})' for label, n in counts.most_common() if label not in classes]
        problems.warn('categories with objects are no classes of the config and left out', others)
    problems.samples = [Sample(os.path.join(image_folder, f'{name}.jpg'), sizes.get(name)) for name in files]
    return problems


def _inside(box: tuple, size: tuple[int, int]) -> bool:
    return box[0] >= -1 and box[1] >= -1 and box[2] <= size[0] + 2 and box[3] <= size[1] + 2


def _parse(root: ET.Element) -> tuple[tuple[int, int] | None, list]:
    """The image's width and height, and each object's name and box."""
    size, objects = root.find('size'), []
    shape = None
    if size is not None:
        shape = tuple(_number(size, key, int) for key in ('width', 'height'))
        if min(shape) <= 0:
            raise UserError('width or height is not positive')
    for node in root.findall('object'):
        box = node.find('bndbox')
        if box is None or not node.findtext('name'):
            raise UserError('an object has no name or no bndbox')
        if node.find('difficult') is not None:
            _number(node, 'difficult', int)
        objects.append(
            (node.findtext('name'), tuple(_number(box, key) for key in ('xmin', 'ymin', 'xmax', 'ymax')))
        )
    return shape, objects


def _number(node: ET.Element, key: str, kind: type = float) -> float:
    try:
        value = kind(node.findtext(key))
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f'{node.tag} has no {"whole" if kind is int else "finite"} number as {key}')
    return value
