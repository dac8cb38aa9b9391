"""Which format of labels a folder holds."""

from pathlib import Path

from ..errors import UserError
from .boxes import read_coco, read_voc, read_yolo
from .data import Data
from .folder import Folder, by_lists, divide
from .masks import read_classes, read_masks

READERS = dict(
    faster_rcnn=(read_coco, read_voc, read_yolo),
    mask_rcnn=(read_coco, read_yolo),
    simplebaseline=(read_coco,),
    deeplabv3plus=(read_masks,),
    dss=(read_masks,),
    classify=(read_classes,),
)
LAYOUTS = {
    read_coco: "COCO's .json, with images, annotations and categories: one for all, or one a split",
    read_voc: "VOC's .xml, one an image, with ImageSets/Main/train.txt and val.txt or without",
    read_yolo: "YOLO's .txt, one an image, with the classes' names in data.yaml, obj.names or classes.txt",
    read_masks: 'masks: images/A.jpg and masks/A.png, or A.jpg and A_mask.png, or A.jpg and A.png',
    read_classes: 'a folder for each class, two or more: cat/A.jpg and dog/B.jpg, or train/cat/A.jpg ...',
}


def read(root: str | Path, method: str) -> Data:
    """Find out what a folder holds for a method.

    Raises:
        UserError: If there is nothing for that method, or more than one format, or no labels to learn from.
    """
    folder = Folder(root)
    found = [data for reader in READERS[method] if (data := reader(folder, method))]
    if len(found) > 1:
        kinds = ' and '.join(f'{data.kind} ({len(data.pictures):,} images)' for data in found)
        raise UserError(f'{root} holds {kinds}: give a folder with the labels of one format')
    if not found:
        others = [m for m in READERS if m != method and _suits(root, m)]
        others = [m for m in others if m != 'classify'] or others  # any two folders of images suit that
        packed = [] if folder.pictures else folder.ending('.zip', '.tar', '.gz', '.tgz', '.xz', '.7z', '.rar')
        raise UserError(
            f'nothing for {method} in {root}, which has {folder.endings()}. Looked for:\n  '
            + '\n  '.join(LAYOUTS[reader] for reader in READERS[method])
            + (f'\nUnpack {packed[0]}: only files outside of archives are read' if packed else '')
            + (f'\nWhat is there is for --method {" or ".join(others)}' if others else '')
            + (f'\nProblems:{folder.listed()}' if folder.problems else '')
        )
    (data,) = found
    images = folder.pictures if data.kind == 'class folders' else folder.images
    pictures = list(data.pictures.values())
    known = {*data.pictures, *(p.source for p in pictures), *folder.unreadable}
    if unlabeled := [file for file in images if file not in known]:
        folder.problems['images without labels, left out'] = unlabeled
    if not pictures:
        apart = 'labels without an image, left out' in folder.problems
        raise UserError(
            f'{root}: nothing to learn from, '
            + (f"the images of its labels ({data.kind}) aren't in this folder: give the folder above "
               'that has both' if apart else 'no image is left')
            + folder.listed()
        )  # fmt: skip
    if data.kind != 'class folders':
        by_lists(folder, pictures, 'Segmentation' if data.kind == 'masks' else 'Main')
    if data.kind != 'masks':
        used = data.used()
        data.classes = [name for name in dict.fromkeys(data.classes) if used[name]]
    data.splits, data.origin = divide(folder, pictures, data.kind == 'class folders')
    if not any(picture.classes for picture in data.splits['train']):
        raise UserError(f'{root}: nothing to learn from, no training image has a label{folder.listed()}')
    return data


def _suits(root: str | Path, method: str) -> bool:
    try:
        return any(reader(Folder(root), method) for reader in READERS[method])
    except UserError:  # its format, but with something wrong in it
        return True
