"""The demo's scenes: figures in a place, none hidden for the most part.

All of a scene is drawn from one random generator, so it is a function of its seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from figures import FIGURES, person
from shapes import KEYPOINTS, Figure, Sprite, ellipse, hsv, rounded, stripes

# ---- backgrounds: textured places in muted colors, so that the objects stand out -----------------


def clouding(rng, height: int, width: int, cell: int) -> np.ndarray:
    """(height, width, 1) smooth noise about 0 with features of ``cell`` pixels."""
    grid = rng.standard_normal((height // cell + 3, width // cell + 3)).astype(np.float32)
    return cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]


def background(rng, kind: str, width: int, height: int) -> tuple[np.ndarray, int]:
    """A place ('room', 'street', 'sea' or 'field'), and the row where its ground begins."""
    horizon = int(height * rng.uniform(0.38, 0.58))
    image = np.empty((height, width, 3), np.float32)
    y, x = np.ogrid[:horizon, :width]
    above = wall(rng, x, y) if kind == 'room' else sky(rng, width, horizon)
    if kind == 'street':
        draw_houses(rng, above)
    elif kind == 'field':
        hills = horizon - 14 - 14 * np.sin(x / width * rng.uniform(4, 9) + rng.uniform(0, 6))
        above[y > hills] = hsv(rng.uniform(50, 100), 0.2, 0.55)
    image[:horizon] = above

    # The ground's own coordinates: 1 is in front, and what is far away lies closer together.
    rows, columns = np.mgrid[: height - horizon, :width].astype(np.float32)
    near = (rows + 6) / (height - horizon)
    across, away = (columns - width * rng.uniform(0.2, 0.8)) / near, 60 / near
    clear = np.clip(3 * near, 0, 1)  # far patterns fade instead of flickering
    image[horizon:] = GROUNDS[kind](rng, across, away, near, clear)
    image *= 1 + 0.05 * clouding(rng, height, width, 40)
    return np.clip(image, 0, 255, out=image), horizon


def wall(rng, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A wall with stripes, checks, bricks or dots, and a skirting board."""
    paint = hsv(rng.uniform(0, 360), rng.uniform(0.06, 0.2), rng.uniform(0.6, 0.85))
    period, style = int(rng.integers(14, 34)), rng.integers(4)
    half = period // 2
    marks = (
        x // period % 2 + 0 * y,
        (x // period + y // period) % 2,
        1.6 * ((y % half < 2) | ((x + y // half % 2 * half) % period < 2)),
        ((x % period - half) ** 2 + (y % period - half) ** 2 < 16) * 1,
    )[style]
    wall = paint * (1 - 0.09 * marks[..., None])
    wall[-7:] = 0.75 * paint
    return wall


def sky(rng, width: int, height: int) -> np.ndarray:
    """A sky that pales downwards, with clouds."""
    hue, pale = rng.uniform(195, 225), rng.uniform(0.05, 0.2)
    high = hsv(hue, pale + 0.2, rng.uniform(0.7, 0.92))
    low = hsv(hue + rng.uniform(-160, 20), pale, 0.93)
    mix = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    clouds = 0.5 * np.clip(clouding(rng, height, width, 34) - 0.35, 0, 1)
    return (high * (1 - mix) + low * mix) * (1 - clouds) + 250 * clouds


def draw_houses(rng, sky: np.ndarray) -> None:
    """Draw a row of houses with windows at the foot of a sky."""
    height, width = sky.shape[:2]
    left = 0
    while left < width:
        right, top = left + int(rng.integers(28, 70)), height - int(rng.integers(20, 75))
        house = sky[top:, left:right]
        house[:] = hsv(rng.uniform(10, 60), rng.uniform(0.05, 0.25), rng.uniform(0.45, 0.75))
        y, x = np.ogrid[: house.shape[0], : house.shape[1]]
        house[(x % 14 > 7) & (y % 16 > 8)] *= 0.72
        left = right


def floor(rng, across, away, near, clear) -> np.ndarray:
    """Tiles or planks."""
    color = hsv(rng.uniform(18, 40), rng.uniform(0.15, 0.4), rng.uniform(0.35, 0.6))
    tiles = rng.random() < 0.5
    marks = (np.floor(across / 45) + np.floor(away / 40) if tiles else np.floor(across / 30)) % 2
    return color * (1 - 0.16 * marks * clear)[..., None]


def road(rng, across, away, near, clear) -> np.ndarray:
    """Asphalt with a dashed line, and a pavement beyond."""
    dashes = (abs(across) < 9) & (np.floor(away / 35) % 2 > 0)
    road = hsv(220, 0.06, rng.uniform(0.35, 0.5)) * (1 + 0.5 * dashes * clear)[..., None]
    road[:8] = hsv(30, 0.06, 0.62)
    return road


def sea(rng, across, away, near, clear) -> np.ndarray:
    """Waves, and a beach in front."""
    bends = clouding(rng, *near.shape, 22)[..., 0]
    waves = np.sin(1.3 * away + 0.02 * across + 2 * bends)
    water = hsv(rng.uniform(180, 205), rng.uniform(0.3, 0.5), rng.uniform(0.5, 0.7))
    sea = water * (0.88 + 0.2 * near + 0.09 * waves * clear)[..., None]
    shore = near + 0.03 * bends
    start = rng.uniform(0.7, 0.9)
    sea[shore > start] = hsv(rng.uniform(32, 44), 0.25, 0.78)
    sea[abs(shore - start) < 0.02] = hsv(190, 0.06, 0.9)
    return sea


def meadow(rng, across, away, near, clear) -> np.ndarray:
    """Dry grass with furrows."""
    grass = hsv(rng.uniform(48, 75), rng.uniform(0.25, 0.42), rng.uniform(0.55, 0.72))
    furrows = np.sin(across / rng.uniform(8, 16)) * clear
    return grass * (1 + 0.05 * furrows[..., None] + 0.08 * clouding(rng, *near.shape, 6))


GROUNDS = {'room': floor, 'street': road, 'sea': sea, 'field': meadow}


def distractor(rng) -> Figure:
    """A rock, a ball, a star or a ring: something that is no object of any category."""
    figure = Figure()
    tint = hsv(rng.uniform(0, 360), rng.uniform(0.05, 0.4), rng.uniform(0.4, 0.8))
    kind = rng.integers(4)
    turns = np.deg2rad(np.arange(0, 360, 36))
    if kind == 0:
        radii = rng.uniform(0.32, 0.5, len(turns))
        figure.add(rounded(np.stack([radii * np.cos(turns), 0.6 * radii * np.sin(turns)], 1)), tint)
    elif kind == 1:
        figure.add(ellipse(0, 0, 0.5, 0.5), tint, '', stripes(0.5, rng.uniform(0, 180)), 0.8 * tint + 40)
    elif kind == 2:
        radii = np.where(np.arange(len(turns)) % 2, 0.22, 0.5)
        figure.add(np.stack([radii * np.cos(turns), radii * np.sin(turns)], 1), tint)
    else:
        figure.add(ellipse(0, 0, 0.5, 0.42), tint)
        figure.add(ellipse(0, 0, 0.32, 0.26), 0.55 * tint)
    return figure


# ---- scenes ------------------------------------------------------------------------------------

# How likely each category is where, in the order of FIGURES.
PLACES = {
    'room': (0.32, 0, 0, 0.24, 0.23, 0.21, 0),
    'street': (0.38, 0.46, 0, 0, 0, 0.08, 0.08),
    'sea': (0.16, 0, 0.62, 0, 0, 0, 0.22),
    'field': (0.36, 0.12, 0, 0.1, 0.1, 0.16, 0.16),
}
PLACE_SHARES = (0.38, 0.26, 0.2, 0.16)
# Side of a square of the mask's area: COCO calls below 32 small and from 96 large.
SIDES = ((18, 31), (33, 92), (98, 140))
SIDE_SHARES = (0.21, 0.38, 0.41)
MIN_VISIBLE = 0.66  # of an object's part inside the picture
MIN_VISIBLE_ALIKE = 0.8  # where the next object is of the same category
MIN_INSIDE = 0.72  # of the whole object
MIN_INSIDE_PERSON = 0.42  # a portrait


@dataclass
class Instance:
    """An object of a scene.

    Attributes:
        category (str): COCO's name of the category.
        mask (ndarray): (h, w) bool, the visible part.
        keypoints (ndarray | None): (17, 3) x, y, v as COCO has them; of people only.
        crowd (bool): Many people as one.
        truncated (bool): Whether the picture's border or another object cuts it.
    """

    category: str
    mask: np.ndarray
    keypoints: np.ndarray | None
    crowd: bool
    truncated: bool


def draw_scene(seed: Sequence[int], empty=False, crowd=False) -> tuple[np.ndarray, list[Instance]]:
    """Draw a scene; equal arguments give equal scenes.

    Args:
        seed (Sequence[int]): Non-negative numbers that name the scene.
        empty (bool): Leave it without objects.
        crowd (bool): Add a crowd of people far away.

    Returns:
        tuple: A picture, (h, w, 3) RGB uint8, and its instances from back to front.
    """
    rng = np.random.default_rng(seed)
    long, short = int(rng.integers(272, 321)), int(rng.integers(200, 257))
    width, height = (long, short) if rng.random() < 0.7 else (short, long)
    kind = str(rng.choice(list(PLACES), p=PLACE_SHARES))
    if crowd and kind == 'sea':
        kind = 'field'
    image, horizon = background(rng, kind, width, height)
    light = (float(rng.choice([-0.6, 0.6])), -0.8)
    for _ in range(rng.integers(3, 7)):
        sprite = distractor(rng).render(rng, rng.uniform(10, 34), light=light)
        sprite.corner = (int(rng.uniform(0, width)), int(rng.uniform(horizon - 10, height)))
        shadow(image, sprite)
        sprite.paste(image)

    sprites = [draw_crowd(rng, width, horizon, light)] if crowd else []
    for side in [] if empty else sides(rng):
        place(rng, draw_sprite(rng, kind, side, light), sprites, width, height, horizon)
    sprites.sort(key=lambda s: s.bottom)
    for sprite in sprites:
        if sprite.category not in ('airplane', 'boat'):
            shadow(image, sprite)
        sprite.paste(image)

    instances, covered = [], np.zeros((height, width), bool)
    for sprite in reversed(sprites):
        whole = sprite.mask(width, height)
        mask = without_slivers(whole & ~covered)
        truncated = np.count_nonzero(mask) < 0.95 * np.count_nonzero(sprite.alpha >= 0.5)
        keypoints = scene_keypoints(sprite, mask)
        instances.append(Instance(sprite.category, mask, keypoints, sprite.crowd, truncated))
        covered |= whole
    image *= rng.uniform(0.88, 1.08)
    image += rng.standard_normal(image.shape, np.float32) * rng.uniform(2, 6)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), instances[::-1]


def sides(rng) -> list[float]:
    """Sizes of a scene's objects, the largest first, as it is the hardest to find a place for."""
    count = rng.choice([3, 4, 5, 6, 7], p=[0.2, 0.25, 0.25, 0.2, 0.1])
    groups = rng.choice(3, count, p=SIDE_SHARES)
    groups[np.flatnonzero(groups == 2)[2:]] = 1  # there is room for two large ones at most
    return sorted((rng.uniform(*SIDES[group]) for group in groups), reverse=True)


def draw_sprite(rng, kind: str, side: float, light: tuple[float, float]) -> Sprite:
    """An object that may be in such a place, stretched and turned a little."""
    category = str(rng.choice(list(FIGURES), p=PLACES[kind]))
    figure = FIGURES[category](rng)
    turn = {'airplane': 18, 'boat': 7}.get(category, 4)
    stretch = np.exp(rng.uniform(-0.1, 0.1))
    for part in figure.parts:
        part.outline *= (stretch, 1 / stretch)
    for name, (position, *rest) in figure.keypoints.items():
        figure.keypoints[name] = (position * (stretch, 1 / stretch), *rest)
    scale = side / np.sqrt(figure.area())
    mirror = bool(rng.random() < 0.5) and category != 'person'
    return figure.render(rng, scale, rng.uniform(-turn, turn), mirror, light)


def place(rng, sprite: Sprite, sprites: list[Sprite], width: int, height: int, horizon: int) -> None:
    """Add the sprite to the scene where nothing gets hidden too much, if such a place is found."""
    w, h = sprite.size
    area = np.count_nonzero(sprite.alpha >= 0.5)
    min_inside = MIN_INSIDE_PERSON if sprite.category == 'person' else MIN_INSIDE
    for _ in range(14):
        x = int(rng.uniform(-0.2 * w, width - 0.8 * w))
        # The larger, the nearer, the lower.
        nearness = np.clip(np.sqrt(area) / 110 + rng.uniform(-0.25, 0.25), 0.08, 1.08)
        y = int(horizon + nearness * (height - horizon)) - h
        if sprite.category == 'airplane':
            y = int(rng.uniform(-0.1 * h, max(horizon - 0.8 * h, 0.1 * height)))
        elif y < 0:  # taller than the picture: a portrait, with the head in it
            y = int(rng.uniform(0.0, 0.12) * height)
        sprite.corner = x, y
        inside = np.count_nonzero(sprite.mask(width, height))
        if inside >= min_inside * area and all_visible(sprites + [sprite], width, height):
            sprites.append(sprite)
            return


def all_visible(sprites: Sequence[Sprite], width: int, height: int) -> bool:
    """Whether enough of each sprite is seen."""
    covered, covered_by = np.zeros((height, width), bool), {}
    for sprite in sorted(sprites, key=lambda s: s.bottom, reverse=True):
        mask = sprite.mask(width, height)
        alike = covered_by.setdefault(sprite.category, np.zeros_like(covered))
        for cover, least in ((covered, MIN_VISIBLE), (alike, MIN_VISIBLE_ALIKE)):
            if np.count_nonzero(mask & ~cover) < least * np.count_nonzero(mask):
                return False
            cover |= mask
    return True


def draw_crowd(rng, width: int, horizon: int, light: tuple[float, float]) -> Sprite:
    """A row of many tiny people as one sprite."""
    people = [person(rng).render(rng, rng.uniform(20, 27), light=light) for _ in range(rng.integers(12, 20))]
    tall = max(p.size[1] for p in people) + 4
    x = 0
    for p in people:
        p.corner = x, tall - p.size[1] - int(rng.integers(0, 4))
        x += 9 + int(rng.integers(0, 4))
    long = max(p.corner[0] + p.size[0] for p in people)
    layer = np.zeros((tall, long, 4), np.float32)
    for p in sorted(people, key=lambda p: p.bottom):
        Sprite('', np.dstack([p.image, p.alpha]), p.alpha, corner=p.corner).paste(layer)
    corner = int(rng.uniform(0, max(width - long, 1))), horizon + int(rng.integers(8, 20)) - tall
    return Sprite('person', layer[..., :3], layer[..., 3], crowd=True, corner=corner)


def shadow(image: np.ndarray, sprite: Sprite) -> None:
    """Darken the ground under a sprite."""
    w, soft = sprite.size[0], max(sprite.size[0] / 30, 1)
    half, thick = max(w * 45 // 100, 2), max(w // 12, 2)
    edge = int(3 * soft) + 1
    dark = np.zeros((2 * (thick + edge) + 1, 2 * (half + edge) + 1), np.float32)
    cv2.ellipse(dark, (half + edge, thick + edge), (half, thick), 0, 0, 360, 0.4, -1)
    corner = sprite.corner[0] + w // 2 - half - edge, sprite.bottom - 2 - thick - edge
    alpha = cv2.GaussianBlur(dark, (0, 0), soft)
    Sprite('', np.zeros((*dark.shape, 3), np.float32), alpha, corner=corner).paste(image)


def without_slivers(mask: np.ndarray) -> np.ndarray:
    """The mask without pieces that no annotator would see."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if count <= 2:
        return mask
    areas = stats[:, cv2.CC_STAT_AREA]
    keep = areas >= max(12, 0.03 * areas[1:].max())
    keep[0] = False
    return keep[labels]


def scene_keypoints(sprite: Sprite, mask: np.ndarray) -> np.ndarray | None:
    """A sprite's key points in a scene in which ``mask`` of it is seen, in COCO's terms."""
    if sprite.keypoints is None:
        return None
    keypoints = np.zeros((len(KEYPOINTS), 3), int)
    # COCO's annotators marked no key points on people as small as these.
    if np.count_nonzero(mask) < 32**2:
        return keypoints
    height, width = mask.shape
    for row, (x, y, v) in zip(keypoints, sprite.keypoints, strict=True):
        x, y = int(x) + sprite.corner[0], int(y) + sprite.corner[1]
        if 0 <= x < width and 0 <= y < height:
            row[:] = x, y, v if mask[y, x] else 1
    return keypoints
