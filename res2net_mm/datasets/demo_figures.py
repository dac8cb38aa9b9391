"""Draws the things of the demo data set: people, cars, boats ...

A thing is a :class:`Figure`, flat shapes from back to front in units of its own size. Rendered, it
is a :class:`Sprite`.
"""
import colorsys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

Colour = np.ndarray  # RGB, 0 to 255
Points = np.ndarray  # (n, 2), x to the right and y down

KEYPOINTS = ('nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'left_shoulder',
             'right_shoulder', 'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist',
             'left_hip', 'right_hip', 'left_knee', 'right_knee', 'left_ankle', 'right_ankle')


# ---- shapes ------------------------------------------------------------------------------------

def ellipse(x: float, y: float, rx: float, ry: float, angle: float = 0., n: int = 28) -> Points:
    """Outline of an ellipse with half axes ``rx`` and ``ry``, turned by ``angle`` degrees."""
    t = np.arange(n) * (2 * np.pi / n)
    return np.stack([rx * np.cos(t), ry * np.sin(t)], 1) @ _rotation(angle).T + (x, y)


def box(x0: float, y0: float, x1: float, y1: float) -> Points:
    """Outline of an axis-aligned rectangle."""
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], float)


def capsule(p: Sequence[float], q: Sequence[float], rp: float, rq: float) -> Points:
    """Outline of a limb: the convex hull of a circle about ``p`` and a circle about ``q``."""
    ends = np.concatenate([ellipse(*p, rp, rp), ellipse(*q, rq, rq)]).astype(np.float32)
    return cv2.convexHull(ends)[:, 0].astype(float)


def rounded(points: Sequence[Sequence[float]], times: int = 2) -> Points:
    """The polygon with its corners cut ``times`` times (Chaikin's scheme)."""
    points = np.asarray(points, float)
    for _ in range(times):
        after = np.roll(points, -1, axis=0)
        points = np.stack([.8 * points + .2 * after, .2 * points + .8 * after], 1).reshape(-1, 2)
    return points


def _rotation(degrees: float) -> np.ndarray:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([(c, -s), (s, c)])


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """A colour from its hue in degrees, and saturation and value in 0 ... 1."""
    return 255 * np.array(colorsys.hsv_to_rgb(hue % 360 / 360, saturation, value), np.float32)


def stripes(period: float, angle: float = 0.) -> Callable:
    """A pattern for :meth:`Figure.add`: bands, level ones at angle 0."""
    direction = _rotation(angle)[:, 1]
    return lambda xy: (xy @ direction / period) % 1 < .5


def dots(period: float) -> Callable:
    """A pattern for :meth:`Figure.add`: polka dots."""
    return lambda xy: (((xy / period) % 1 - .5) ** 2).sum(-1) < .08


# ---- figures -----------------------------------------------------------------------------------

@dataclass
class Part:
    """One flat shape of a figure: where the ``pattern`` holds, it has the ``accent`` colour."""
    outline: Points
    colour: Colour
    name: str
    pattern: Callable | None = None
    accent: Colour | None = None


@dataclass
class Figure:
    """A thing as flat shapes from back to front, about 1 unit high or long.

    Attributes:
        category (str): COCO's name of the category, '' for a thing nobody annotates.
        keypoints (dict): Name to (position, may it be seen, names of the parts that carry it): a
            key point over which another part is drawn is hidden.
    """
    category: str = ''
    parts: list[Part] = field(default_factory=list)
    keypoints: dict[str, tuple[Points, bool, tuple[str, ...]]] = field(default_factory=dict)

    def add(self, outline: Sequence[Sequence[float]], colour: Colour, name: str = '',
            pattern: Callable | None = None, accent: Colour | None = None) -> None:
        """Draw a shape in front of what is there."""
        self.parts.append(Part(np.asarray(outline, float), colour, name, pattern, accent))

    def area(self) -> float:
        """Area of the silhouette in square units."""
        points = np.concatenate([part.outline for part in self.parts])
        low, unit = points.min(0), 64.
        size = np.ceil((points.max(0) - low) * unit).astype(int) + 1
        canvas = np.zeros(size[::-1], np.uint8)
        for part in self.parts:
            cv2.fillPoly(canvas, [np.rint((part.outline - low) * unit).astype(np.int32)], 1)
        return np.count_nonzero(canvas) / unit ** 2

    def render(self, rng: np.random.Generator, scale: float, angle: float = 0.,
               mirror: bool = False, light: tuple[float, float] = (-.6, -.8)) -> 'Sprite':
        """Draw the figure anti-aliased, every part shaded towards the light, with a little grain.

        Args:
            rng (Generator): Draws the grain.
            scale (float): Pixels per unit.
            angle (float): Turn in degrees, clockwise as seen. Defaults to 0.
            mirror (bool): Flip left and right. Not for figures with key points. Defaults to False.
            light (tuple): Direction towards the light. Defaults to (-.6, -.8), the upper left.
        """
        assert not (mirror and self.keypoints), 'a mirrored person would have its sides swapped'
        linear = scale * _rotation(angle) @ np.diag([-1. if mirror else 1., 1.])
        points = np.concatenate([part.outline for part in self.parts]) @ linear.T
        low = np.floor(points.min(0)) - 1
        width, height = (np.ceil(points.max(0)) + 1 - low).astype(int)
        fine = 2 if max(width, height) > 64 else 4  # supersampling
        # Which part is in front where, counted from 1; for each its colour and its shade's plane.
        owners = np.zeros((height * fine, width * fine), np.uint8)
        colours, shades = np.zeros((2, len(self.parts) + 1, 3), np.float32)
        for index, part in enumerate(self.parts, 1):
            outline = (part.outline @ linear.T - low) * fine
            cv2.fillPoly(owners, [np.rint(16 * outline).astype(np.int32)], index, shift=4)
            slope = .55 * np.array(light) / max(np.ptp(outline, axis=0).max(), 1)
            colours[index] = part.colour
            shades[index] = *slope, 1 - slope @ outline.mean(0)
        image = np.take(colours, owners, axis=0)
        for index, part in enumerate(self.parts, 1):
            if part.pattern is not None:
                y, x = np.nonzero(owners == index)
                own = (np.stack([x, y], 1) / fine + low) @ np.linalg.inv(linear).T
                marked = part.pattern(own)
                image[y[marked], x[marked]] = part.accent
        y, x = np.ogrid[:height * fine, :width * fine]
        x_slope, y_slope, shade = (np.take(column, owners) for column in shades.T)
        shade += x_slope * x.astype(np.float32) + y_slope * y.astype(np.float32)
        image *= shade[..., None]
        np.clip(image, 0, 255, out=image)

        inside = (owners > 0).astype(np.float32)
        alpha = cv2.resize(inside, (width, height), interpolation=cv2.INTER_AREA)
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        image *= 1 + .05 * rng.standard_normal((height, width, 1), np.float32)
        keypoints = None
        if self.keypoints:
            keypoints = np.zeros((len(KEYPOINTS), 3))
            for row, name in zip(keypoints, KEYPOINTS):
                position, seen, carriers = self.keypoints[name]
                row[:2] = linear @ position - low
                x, y = (row[:2] * fine).astype(int)
                owner = self.parts[owners[y, x] - 1].name if owners[y, x] else None
                row[2] = 2 if seen and owner in carriers else 1
        return Sprite(self.category, image, alpha, keypoints)


@dataclass
class Sprite:
    """A rendered figure.

    Attributes:
        category (str): COCO's name of the category.
        image (ndarray): (h, w, 3) RGB, 0 to 255, multiplied by ``alpha``.
        alpha (ndarray): (h, w) coverage, 0 to 1.
        keypoints (ndarray | None): (17, 3) x, y, and 2 (seen) or 1 (hidden by the own body).
        crowd (bool): Many people as one. Defaults to False.
        corner (tuple): x and y of the upper left corner in the scene. Defaults to (0, 0).
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
        return np.s_[y0:y1, x0:x1], np.s_[y0 - y:y1 - y, x0 - x:x1 - x]

    def mask(self, width: int, height: int) -> np.ndarray:
        """(height, width) where it covers a picture of that size."""
        mask = np.zeros((height, width), bool)
        there, here = self.windows(width, height)
        mask[there] = self.alpha[here] >= .5
        return mask

    def paste(self, image: np.ndarray) -> None:
        """Draw it into an (h, w, 3) float picture."""
        there, here = self.windows(image.shape[1], image.shape[0])
        image[there] = image[there] * (1 - self.alpha[here][..., None]) + self.image[here]


# ---- the categories ----------------------------------------------------------------------------

def person(rng: np.random.Generator) -> Figure:
    """A person standing, walking, waving ... seen from the front, aside or from behind."""
    figure = Figure('person')
    pose = str(rng.choice(['stand', 'wave', 'akimbo', 'walk', 'stretch', 'jump'],
                          p=[.2, .2, .15, .2, .15, .1]))
    yaw = rng.uniform(-35, 35)
    if pose == 'walk':
        yaw = rng.choice([-1, 1]) * rng.uniform(35, 80)
    elif rng.random() < .12:
        yaw += 180
    yaw = np.deg2rad(yaw)
    sin, cos = np.sin(yaw), np.cos(yaw)
    girth, head = rng.uniform(1., 1.3), rng.uniform(.95, 1.2)

    # Body axes: to the person's left (the viewer's right when facing), down, forward.
    def flat(p: np.ndarray) -> np.ndarray:
        return np.array([p[0] * cos + p[2] * sin, p[1]])

    def depth(p: np.ndarray) -> float:
        return p[0] * sin - p[2] * cos

    def bone(start: np.ndarray, side: int, outward: float, forward: float,
             length: float) -> np.ndarray:
        out, fore = np.deg2rad(outward), np.deg2rad(forward)
        return start + length * np.array(
            [side * np.sin(out), np.cos(out) * np.cos(fore), np.cos(out) * np.sin(fore)])

    skin = hsv(rng.uniform(18, 30), rng.uniform(.3, .6), rng.uniform(.5, .98))
    hair = hsv(rng.uniform(15, 45), rng.uniform(.2, .8), rng.uniform(.08, .5))
    shirt = hsv(rng.uniform(0, 360), rng.uniform(.55, .95), rng.uniform(.5, .95))
    shirt_accent = hsv(rng.uniform(0, 360), rng.uniform(0, .4), rng.uniform(.75, 1.))
    pattern = [None, None, stripes(.075), stripes(.07, 90), dots(.06)][rng.integers(5)]
    trousers = hsv(rng.uniform(200, 400), rng.uniform(.2, .7), rng.uniform(.18, .5))
    shoes = hsv(rng.uniform(0, 360), rng.uniform(0, .8), rng.uniform(.1, .4))
    long_sleeves, shorts, skirt = rng.random() < .5, rng.random() < .25, rng.random() < .2
    sleeve = shirt if long_sleeves else skin
    stocking = skin if shorts or skirt else trousers

    waver, step = rng.choice([-1, 1], 2)
    limbs = {}
    for name, side in (('left', 1), ('right', -1)):
        shoulder = np.array([side * .11 * girth, .235, 0])
        hip = np.array([side * .062 * girth, .54, 0])
        out, fore = rng.uniform(8, 24), rng.uniform(-12, 12)
        out2, fore2 = out - rng.uniform(0, 18), fore + rng.uniform(5, 30)
        leg_out, leg_fore, knee_bend = rng.uniform(2, 9), rng.uniform(-4, 4), rng.uniform(0, 6)
        if pose == 'wave' and side == waver:
            out, out2 = rng.uniform(80, 130), rng.uniform(140, 195)
        elif pose == 'akimbo':
            out, out2, fore2 = rng.uniform(42, 56), rng.uniform(-55, -35), fore
        elif pose == 'walk':
            fore, leg_fore = -side * step * rng.uniform(15, 40), side * step * rng.uniform(14, 30)
            out2, fore2 = out, fore + rng.uniform(10, 50)
            knee_bend = rng.uniform(2, 15) if leg_fore > 0 else rng.uniform(8, 40)
        elif pose == 'stretch':
            out = rng.uniform(65, 140)
            out2, leg_out = out + rng.uniform(-15, 35), rng.uniform(10, 26)
        elif pose == 'jump':
            out, leg_out = rng.uniform(110, 160), rng.uniform(15, 38)
            out2, knee_bend = out + rng.uniform(-20, 20), rng.uniform(30, 80)
        elbow = bone(shoulder, side, out, fore, .16)
        wrist = bone(elbow, side, out2, fore2, .145)
        knee = bone(hip, side, leg_out, leg_fore, .215)
        ankle = bone(knee, side, leg_out * .5, leg_fore - knee_bend, .205)
        limbs[name] = side, shoulder, elbow, wrist, hip, knee, ankle

    def leg(name: str) -> None:
        _, _, _, _, hip, knee, ankle = limbs[name]
        h, k, a = flat(hip), flat(knee), flat(ankle)
        toe = flat(ankle + np.array([0, .026, .055]))
        figure.add(capsule(a + (0, .02), toe, .028, .024), shoes, f'{name}_leg')
        figure.add(capsule(k, a, .045 * girth, .032 * girth), stocking, f'{name}_leg')
        figure.add(capsule(h, k, .066 * girth, .049 * girth), trousers, f'{name}_leg')

    def arm(name: str) -> None:
        _, shoulder, elbow, wrist, _, _, _ = limbs[name]
        s, e, w = flat(shoulder), flat(elbow), flat(wrist)
        hand = w + .028 * (w - e) / max(np.linalg.norm(w - e), .05)
        figure.add(ellipse(*hand, .033, .033), skin, f'{name}_arm')
        figure.add(capsule(e, w, .036 * girth, .028 * girth), sleeve, f'{name}_arm')
        figure.add(capsule(s, e, .045 * girth, .038 * girth), shirt, f'{name}_arm',
                   pattern, shirt_accent)

    facing = cos > 0
    far, near = ('left', 'right') if depth(limbs['left'][1]) > 0 else ('right', 'left')
    behind = [n for n in (far, near)
              if depth(limbs[n][3]) > .06 or (n == far and abs(sin) > .45)]
    for name in behind:
        arm(name)
    rx, ry = .075 * head, .092 * head
    long_hair = rng.random() < .35
    if long_hair and facing:
        figure.add(rounded(box(-1.15 * rx, .07, 1.15 * rx, .1 + rng.uniform(1.2, 2.) * ry)), hair)
    leg(far)
    leg(near)
    shoulders = np.hypot(.14 * girth * cos, .085 * girth * sin)
    hips = np.hypot(.115 * girth * cos, .09 * girth * sin)
    if skirt:
        hem = hips + rng.uniform(.02, .07)
        figure.add([(-hips, .5), (hips, .5), (hem, .7), (-hem, .7)], trousers, 'hips')
    else:
        figure.add(rounded(box(-hips, .48, hips, .595)), trousers, 'hips')
    figure.add(capsule((0, .15), (0, .22), .035 * girth, .045 * girth), skin, 'neck')
    figure.add(rounded([(-.55 * shoulders, .19), (.55 * shoulders, .19), (shoulders, .215),
                        (.92 * shoulders, .32), (hips, .53), (-hips, .53),
                        (-.92 * shoulders, .32), (-shoulders, .215)]),
               shirt, 'torso', pattern, shirt_accent)

    centre = np.array([0, .095, 0])
    figure.add(ellipse(*flat(centre), 1.07 * rx, 1.07 * ry), hair, 'hair')
    points = {'nose': (0, .25, .95), 'left_eye': (.4, -.02, .8), 'right_eye': (-.4, -.02, .8),
              'left_ear': (1.02, .1, -.1), 'right_ear': (-1.02, .1, -.1)}
    points = {k: centre + np.array(v) * (rx, ry, rx) for k, v in points.items()}
    ears = [name for name in ('left_ear', 'right_ear') if depth(points[name]) < .6 * rx]
    for name in ears:
        figure.add(ellipse(*flat(points[name]), .2 * rx, .24 * ry), .92 * skin, name)
    if facing:
        figure.add(ellipse(*flat(centre + np.array([0, .16 * ry, .3 * rx])), .84 * rx, .86 * ry),
                   skin, 'face')
        for name in ('left_eye', 'right_eye'):
            figure.add(ellipse(*flat(points[name]), .15 * rx, .13 * ry), hsv(0, 0, .97), 'face')
            figure.add(ellipse(*flat(points[name]), .09 * rx, .11 * ry), hsv(220, .4, .12), 'face')
        figure.add(ellipse(*flat(points['nose']), .11 * rx, .13 * ry), .8 * skin, 'face')
        mouth = flat(centre + np.array([0, .6 * ry, .75 * rx]))
        figure.add(ellipse(*mouth, .26 * rx, .07 * ry), hsv(355, .6, .55), 'face')
    elif long_hair:
        figure.add(rounded(box(-1.1 * rx, .06, 1.1 * rx, .1 + rng.uniform(1.2, 1.8) * ry)), hair)
    for name in (far, near):
        if name not in behind:
            arm(name)

    for name in ('nose', 'left_eye', 'right_eye'):
        figure.keypoints[name] = flat(points[name]), facing, ('face',)
    for name in ('left_ear', 'right_ear'):
        figure.keypoints[name] = flat(points[name]), name in ears, (name,)
    for name, (side, shoulder, elbow, wrist, hip, knee, ankle) in limbs.items():
        trunk_seen = name == near or abs(sin) < .75
        carriers = f'{name}_arm', 'torso'
        figure.keypoints[f'{name}_shoulder'] = flat(shoulder), trunk_seen, carriers
        figure.keypoints[f'{name}_elbow'] = flat(elbow), True, carriers[:1]
        figure.keypoints[f'{name}_wrist'] = flat(wrist), True, carriers[:1]
        carriers = f'{name}_leg', 'hips', 'torso'
        figure.keypoints[f'{name}_hip'] = flat(hip), trunk_seen, carriers
        figure.keypoints[f'{name}_knee'] = flat(knee), True, carriers[:1]
        figure.keypoints[f'{name}_ankle'] = flat(ankle), True, carriers[:1]
    return figure


def car(rng: np.random.Generator) -> Figure:
    """A car from its side, in warm paint."""
    figure = Figure('car')
    paint = hsv(rng.uniform(-15, 55), rng.uniform(.75, .95), rng.uniform(.7, .95))
    glass, black = hsv(200, rng.uniform(.1, .3), rng.uniform(.6, .9)), hsv(0, 0, .1)
    roof, rear, front = rng.uniform(-.24, -.17), rng.uniform(-.44, -.3), rng.uniform(.08, .2)
    nose = front + rng.uniform(.1, .18)
    figure.add(rounded([(rear - .06, 0), (rear + .04, roof), (front, roof), (nose, 0),
                        (nose, .06), (rear - .06, .06)]), .95 * paint)
    middle = (rear + front) / 2 + .03
    figure.add([(rear + .01, -.01), (rear + .07, roof + .035), (middle - .015, roof + .035),
                (middle - .015, -.01)], glass)
    figure.add([(middle + .015, -.01), (middle + .015, roof + .035), (front - .015, roof + .035),
                (nose - .05, -.01)], glass)
    figure.add(rounded([(-.5, .03), (-.47, -.01), (nose, -.02), (.47, .02), (.5, .07), (.5, .17),
                        (-.5, .17)]), paint)
    figure.add(box(-.5, .125, .5, .165), hsv(0, 0, .25))
    figure.add(box(middle - .006, 0, middle + .006, .12), .6 * paint)
    figure.add(box(middle - .07, .03, middle - .03, .043), .5 * paint)
    figure.add(ellipse(.465, .06, .022, .026), hsv(55, .3, 1.))
    figure.add(box(-.5, .04, -.475, .09), hsv(0, .95, .6))
    for x in (-.29, .29):
        figure.add(ellipse(x, .16, .105, .105), black)
        figure.add(ellipse(x, .16, .055, .055), hsv(0, 0, .75))
        figure.add(ellipse(x, .16, .018, .018), hsv(0, 0, .3))
    return figure


def boat(rng: np.random.Generator) -> Figure:
    """A sailing boat: a hull with a stripe and two sails."""
    figure = Figure('boat')
    hull = hsv(rng.uniform(195, 235), rng.uniform(.7, .95), rng.uniform(.3, .6))
    wood, cream = hsv(30, .6, .35), hsv(rng.uniform(35, 55), rng.uniform(.02, .16), .97)
    stripe = hsv(rng.uniform(-20, 20), .85, .85)
    mast, tip = rng.uniform(-.1, .05), -rng.uniform(.42, .6)
    figure.add(box(mast - .013, tip - .04, mast + .013, .25), wood)
    pattern = stripes(rng.uniform(.14, .2)) if rng.random() < .5 else None
    belly = rng.uniform(.02, .06)
    figure.add([(mast - .02, tip), (mast - .18 - belly, -.1), (mast - .33, .19), (mast - .02, .19)],
               cream, '', pattern, stripe)
    figure.add([(mast + .03, tip + .06), (mast + .15 + belly, -.08), (mast + .27, .2),
                (mast + .03, .2)], .93 * cream)
    figure.add([(mast + .013, tip - .04), (mast + .12, tip - .005), (mast + .013, tip + .03)],
               stripe)
    figure.add(rounded([(-.48, .24), (.52, .22), (.4, .4), (.34, .44), (-.36, .44), (-.42, .38)],
                       1), hull)
    figure.add([(-.465, .27), (.49, .255), (.46, .3), (-.45, .31)], hsv(0, 0, .97))
    return figure


def bottle(rng: np.random.Generator) -> Figure:
    """A bottle of green or brown glass with a label."""
    figure = Figure('bottle')
    hue = rng.uniform(105, 140) if rng.random() < .6 else rng.uniform(20, 32)
    glass = hsv(hue, rng.uniform(.7, .95), rng.uniform(.35, .6))
    half, shoulder, neck = rng.uniform(.135, .18), rng.uniform(-.16, -.04), rng.uniform(.045, .06)
    figure.add(rounded([(-neck, -.45), (neck, -.45), (neck, shoulder - .12), (half, shoulder + .06),
                        (half, .5), (-half, .5), (-half, shoulder + .06), (-neck, shoulder - .12)]),
               glass)
    cap = hsv(rng.uniform(0, 360), .8, .8)
    figure.add(rounded(box(-neck - .014, -.5, neck + .014, -.41), 1), cap)
    label = hsv(rng.uniform(35, 60), rng.uniform(.05, .35), .97)
    top, low = shoulder + rng.uniform(.12, .16), rng.uniform(.36, .42)
    figure.add(box(-half, top, half, low), label)
    figure.add(box(-half, top + .04, half, top + .085), cap)
    figure.add(ellipse(0, (top + low) / 2 + .04, .5 * half, .5 * half), cap)
    figure.add(rounded(box(-.78 * half, shoulder + .05, -.58 * half, .46)), .45 * glass + 120)
    return figure


def tv(rng: np.random.Generator) -> Figure:
    """A television on its stand, with a bright picture."""
    figure = Figure('tv')
    case = hsv(rng.uniform(0, 360), .1, rng.uniform(.06, .2))
    half, top, low, edge = rng.uniform(.58, .74), -.45, .36, rng.uniform(.045, .065)
    figure.add(box(-.06, low - .02, .06, .46), case)
    figure.add(rounded([(-.3, .43), (.3, .43), (.36, .5), (-.36, .5)], 1), case)
    figure.add(box(-half, top, half, low), case)
    x0, y0, x1, y1 = -half + edge, top + edge, half - edge, low - edge
    hue = rng.uniform(170, 320)
    if rng.random() < .5:  # a landscape with a sun
        figure.add(box(x0, y0, x1, y1), hsv(hue, .55, 1.))
        figure.add(ellipse(rng.uniform(-.3, .3), y0 + .2, .09, .09), hsv(52, .7, 1.))
        figure.add([(x0, y1), (x0, y1 - .2), (.5 * x0, y1 - .38), (0, y1 - .15), (.4 * x1, y1 - .3),
                    (x1, y1 - .12), (x1, y1)], hsv(hue + 60, .8, .75))
    else:  # a test picture
        edges = np.linspace(x0, x1, 7)
        for a, b, turn in zip(edges, edges[1:], rng.permutation(6)):
            figure.add(box(a, y0, b, y1), hsv(60 * turn, .75, 1.))
        figure.add(box(x0, y1 - .16, x1, y1), hsv(hue, .8, .4))
    figure.add([(x0, y0), (x0 + .25, y0), (x0, y0 + .35)], hsv(0, 0, 1.))
    figure.add(ellipse(half - .08, low - .5 * edge, .015, .015), hsv(0, .9, .9))
    return figure


def potted_plant(rng: np.random.Generator) -> Figure:
    """Leaves, some with flowers, in a terracotta pot."""
    figure = Figure('potted plant')
    clay = hsv(rng.uniform(8, 22), rng.uniform(.6, .8), rng.uniform(.55, .8))
    hue, wide = rng.uniform(85, 135), rng.uniform(.16, .22)
    flower = hsv(rng.uniform(290, 420), .7, 1.)
    flowering = rng.random() < .45
    for turn in rng.permutation(np.linspace(-80, 80, rng.integers(9, 14))):
        turn, length = turn + rng.uniform(-6, 6), rng.uniform(.42, .6) - abs(turn) * .0012
        leaf = np.array([(0, 0), (-.055, -.35), (-.075, -.6), (-.04, -.85), (0, -1.), (.04, -.85),
                         (.075, -.6), (.055, -.35)]) * (rng.uniform(.75, 1.15), length)
        green = hsv(hue + rng.uniform(-12, 12), rng.uniform(.65, .95), rng.uniform(.3, .75))
        figure.add(rounded(leaf, 1) @ _rotation(turn).T + (0, .12), green)
        vein = np.array([(-.006, -.1), (.006, -.1), (0, -.85)]) * (1, length)
        figure.add(vein @ _rotation(turn).T + (0, .12), .6 * green)
        if flowering and rng.random() < .5:
            x, y = _rotation(turn) @ (0, -length) + (0, .12)
            for petal in range(5):
                dx, dy = .04 * (_rotation(72 * petal)[:, 0])
                figure.add(ellipse(x + dx, y + dy, .028, .028, n=12), flower)
            figure.add(ellipse(x, y, .022, .022, n=12), hsv(48, .9, 1.))
    figure.add([(-wide, .15), (wide, .15), (.7 * wide, .5), (-.7 * wide, .5)], clay)
    figure.add(box(-wide - .025, .1, wide + .025, .19), 1.12 * clay)
    figure.add([(-.9 * wide, .19), (.9 * wide, .19), (.88 * wide, .215), (-.88 * wide, .215)],
               .6 * clay)
    return figure


def airplane(rng: np.random.Generator) -> Figure:
    """An airliner from its side: white or silver, with a coloured tail."""
    figure = Figure('airplane')
    white = hsv(rng.uniform(190, 230), rng.uniform(0, .08), rng.uniform(.88, 1.))
    livery = hsv(rng.uniform(190, 370), rng.uniform(.75, .95), rng.uniform(.55, .85))
    grey, fat = .68 * white, rng.uniform(.062, .082)
    figure.add([(.02, -.02), (-.13, -.2), (-.2, -.2), (-.12, -.01)], .8 * grey)
    figure.add([(-.38, -.03), (-.5, -.27), (-.42, -.27), (-.24, -.03)], livery)
    figure.add(rounded([(-.52, -.05), (-.4, -fat), (.36, -fat), (.46, -.035), (.5, .015),
                        (.44, .05), (.34, fat), (-.25, fat)]), white)
    figure.add([(-.42, 0), (.46, 0), (.48, .022), (-.36, .022)], livery)
    for x in np.arange(-.3, .34, .055):
        figure.add(box(x, -.04, x + .026, -.012), hsv(215, .6, .25))
    figure.add([(.4, -.045), (.455, -.03), (.465, -.012), (.4, -.012)], hsv(215, .6, .2))
    figure.add([(.12, .03), (-.18, .25), (-.27, .25), (-.1, .03)], grey)
    figure.add(capsule((-.03, .13), (.05, .13), .03, .034), .8 * white)
    figure.add([(-.36, -.02), (-.5, .06), (-.44, .06), (-.28, .0)], grey)
    return figure


FIGURES = {'person': person, 'car': car, 'boat': boat, 'bottle': bottle, 'tv': tv,
           'potted plant': potted_plant, 'airplane': airplane}
