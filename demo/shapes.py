"""What things are drawn from: a :class:`Figure` is flat shapes in units of its own size from back to front.

Drawn at a scale it is a :class:`Sprite`.
"""

import colorsys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

Color = np.ndarray  # RGB, 0 to 255
Points = np.ndarray  # (n, 2), x to the right and y down

SIDED = 'eye ear shoulder elbow wrist hip knee ankle'.split()
KEYPOINTS = ('nose', *(f'{side}_{part}' for part in SIDED for side in ('left', 'right')))  # in COCO's order

# ---- shapes ------------------------------------------------------------------------------------


def rotation(degrees: float) -> np.ndarray:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([(c, -s), (s, c)])


def polygon(*xy: float) -> Points:
    """The outline x, y, x, y, ..."""
    return np.reshape(np.array(xy, float), (-1, 2))


def box(x0: float, y0: float, x1: float, y1: float) -> Points:
    return polygon(x0, y0, x1, y0, x1, y1, x0, y1)


def ellipse(x: float, y: float, rx: float, ry: float, n: int = 28) -> Points:
    t = np.arange(n) * (2 * np.pi / n)
    return np.stack([rx * np.cos(t), ry * np.sin(t)], 1) + (x, y)


def capsule(p: Sequence[float], q: Sequence[float], rp: float, rq: float) -> Points:
    """A limb: the convex hull of a circle about ``p`` and a circle about ``q``."""
    ends = np.concatenate([ellipse(*p, rp, rp), ellipse(*q, rq, rq)]).astype(np.float32)
    return cv2.convexHull(ends)[:, 0].astype(float)


def symmetric(*xy: float) -> Points:
    """The outline whose right half, from the top down, is given."""
    right = polygon(*xy)
    return np.concatenate([right, right[::-1] * (-1, 1)])


def rounded(points: Points, times: int = 2) -> Points:
    """The polygon with its corners cut ``times`` times (Chaikin's scheme)."""
    for _ in range(times):
        after = np.roll(points, -1, axis=0)
        points = np.stack([0.8 * points + 0.2 * after, 0.2 * points + 0.8 * after], 1).reshape(-1, 2)
    return points


def hsv(hue: float, saturation: float, value: float) -> Color:
    """A color from its hue in degrees, and saturation and value in 0 ... 1."""
    return 255 * np.array(colorsys.hsv_to_rgb(hue % 360 / 360, saturation, value), np.float32)


def stripes(period: float, angle: float = 0.0) -> Callable:
    """A pattern for :meth:`Figure.add`: bands, level ones at angle 0."""
    direction = rotation(angle)[:, 1]
    return lambda xy: (xy @ direction / period) % 1 < 0.5


def dots(period: float) -> Callable:
    """A pattern for :meth:`Figure.add`: polka dots."""
    return lambda xy: (((xy / period) % 1 - 0.5) ** 2).sum(-1) < 0.08


# ---- figures -----------------------------------------------------------------------------------


@dataclass
class Part:
    """One flat shape: where the ``pattern`` holds, it has the ``accent`` color."""

    outline: Points
    color: Color
    name: str = ''
    pattern: Callable | None = None
    accent: Color | None = None


@dataclass
class Figure:
    """A thing as shapes from back to front, about 1 unit high or long.

    Attributes:
        category (str): COCO's name of the category, '' for a thing nobody annotates.
        keypoints (dict): Name to (position, may it be seen, names of the parts that carry it): a
            key point over which another part is drawn is hidden.
    """

    category: str = ''
    parts: list[Part] = field(default_factory=list)
    keypoints: dict[str, tuple[Points, bool, tuple[str, ...]]] = field(default_factory=dict)

    def add(self, *part) -> None:
        """Draw a :class:`Part` in front of what is there."""
        self.parts.append(Part(*part))

    def area(self) -> float:
        """Area of the silhouette in square units."""
        points = np.concatenate([part.outline for part in self.parts])
        low, unit = points.min(0), 64.0
        size = np.ceil((points.max(0) - low) * unit).astype(int) + 1
        canvas = np.zeros(size[::-1], np.uint8)
        for part in self.parts:
            cv2.fillPoly(canvas, [np.rint((part.outline - low) * unit).astype(np.int32)], 1)
        return np.count_nonzero(canvas) / unit**2

    def render(self, rng, scale: float, angle=0.0, mirror=False, light=(-0.6, -0.8)) -> 'Sprite':
        """Draw the figure anti-aliased, every part shaded towards the light, with a little grain.

        Args:
            rng (Generator): Draws the grain.
            scale (float): Pixels per unit.
            angle (float): Turn in degrees, clockwise as seen.
            mirror (bool): Flip left and right. Not for figures with key points.
            light (tuple): Direction towards the light. Defaults to the upper left.
        """
        assert not (mirror and self.keypoints), 'a mirrored person would have its sides swapped'
        linear = scale * rotation(angle) @ np.diag([-1.0 if mirror else 1.0, 1.0])
        points = np.concatenate([part.outline for part in self.parts]) @ linear.T
        low = np.floor(points.min(0)) - 1
        width, height = (np.ceil(points.max(0)) + 1 - low).astype(int)
        fine = 2 if max(width, height) > 64 else 4  # supersampling
        # Which part is in front where, counted from 1; for each its color and its shade's plane.
        owners = np.zeros((height * fine, width * fine), np.uint8)
        colors, shades = np.zeros((2, len(self.parts) + 1, 3), np.float32)
        for index, part in enumerate(self.parts, 1):
            outline = (part.outline @ linear.T - low) * fine
            cv2.fillPoly(owners, [np.rint(16 * outline).astype(np.int32)], index, shift=4)
            slope = 0.55 * np.array(light) / max(np.ptp(outline, axis=0).max(), 1)
            colors[index] = part.color
            shades[index] = *slope, 1 - slope @ outline.mean(0)
        image = np.take(colors, owners, axis=0)
        for index, part in enumerate(self.parts, 1):
            if part.pattern is not None:
                y, x = np.nonzero(owners == index)
                marked = part.pattern((np.stack([x, y], 1) / fine + low) @ np.linalg.inv(linear).T)
                image[y[marked], x[marked]] = part.accent
        y, x = np.ogrid[: height * fine, : width * fine]
        x_slope, y_slope, shade = (np.take(column, owners) for column in shades.T)
        shade += x_slope * x.astype(np.float32) + y_slope * y.astype(np.float32)
        image = np.clip(image * shade[..., None], 0, 255)

        inside = (owners > 0).astype(np.float32)
        alpha = cv2.resize(inside, (width, height), interpolation=cv2.INTER_AREA)
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        image *= 1 + 0.05 * rng.standard_normal((height, width, 1), np.float32)
        keypoints = np.zeros((len(KEYPOINTS), 3)) if self.keypoints else None
        for index, name in enumerate(KEYPOINTS if self.keypoints else ()):
            position, seen, carriers = self.keypoints[name]
            point = linear @ position - low
            x, y = (point * fine).astype(int)
            owner = self.parts[owners[y, x] - 1].name if owners[y, x] else None
            keypoints[index] = *point, 2 if seen and owner in carriers else 1
        return Sprite(self.category, image, alpha, keypoints)


@dataclass
class Sprite:
    """A figure as it was drawn.

    Attributes:
        category (str): COCO's name of the category.
        image (ndarray): (h, w, 3) RGB, 0 to 255, multiplied by ``alpha``.
        alpha (ndarray): (h, w) coverage, 0 to 1.
        keypoints (ndarray | None): (17, 3) x, y, and 2 (seen) or 1 (hidden by the own body).
        crowd (bool): Many people as one.
        corner (tuple): x and y of the upper left corner in the scene.
    """

    category: str
    image: np.ndarray
    alpha: np.ndarray
    keypoints: np.ndarray | None = None
    crowd: bool = False
    corner: tuple[int, int] = (0, 0)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.alpha.shape[1::-1]

    @property
    def bottom(self) -> int:
        """Where it stands; the lower, the nearer."""
        return self.corner[1] + self.size[1]

    def windows(self, width: int, height: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """The part inside a picture of that size: as an index of the picture and of the sprite."""
        (x, y), (w, h) = self.corner, self.size
        x0, x1 = np.clip([x, x + w], 0, width)
        y0, y1 = np.clip([y, y + h], 0, height)
        return np.s_[y0:y1, x0:x1], np.s_[y0 - y : y1 - y, x0 - x : x1 - x]

    def mask(self, width: int, height: int) -> np.ndarray:
        """(height, width) where it covers a picture of that size."""
        mask = np.zeros((height, width), bool)
        there, here = self.windows(width, height)
        mask[there] = self.alpha[here] >= 0.5
        return mask

    def paste(self, image: np.ndarray) -> None:
        """Draw it into an (h, w, 3) float picture."""
        there, here = self.windows(image.shape[1], image.shape[0])
        image[there] = image[there] * (1 - self.alpha[here][..., None]) + self.image[here]
