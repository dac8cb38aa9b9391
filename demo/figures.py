"""The things in the demo's scenes: people, cars, boats ..."""

import numpy as np
from shapes import Figure, box, capsule, dots, ellipse, hsv, polygon, rotation, rounded, stripes, symmetric


def limb_angles(rng, pose: str, side: int, waver: int, step: int) -> tuple[float, ...]:
    """Degrees from hanging down, of an arm and a leg of one side (left 1, right -1).

    They are: upper arm outward and forward, forearm outward and forward, thigh outward and forward, and how
    far the knee bends. The ``waver`` side waves, ``step`` says which leg is in front.
    """
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
    return out, fore, out2, fore2, leg_out, leg_fore, knee_bend


def person(rng) -> Figure:
    """A person standing, walking, waving ... seen from the front, aside or from behind."""
    figure = Figure('person')
    poses = dict(stand=0.2, wave=0.2, akimbo=0.15, walk=0.2, stretch=0.15, jump=0.1)
    pose = str(rng.choice(list(poses), p=list(poses.values())))
    yaw = rng.uniform(-35, 35)
    if pose == 'walk':
        yaw = rng.choice([-1, 1]) * rng.uniform(35, 80)
    elif rng.random() < 0.12:
        yaw += 180
    yaw = np.deg2rad(yaw)
    sin, cos = np.sin(yaw), np.cos(yaw)
    girth, head = rng.uniform(1.0, 1.3), rng.uniform(0.95, 1.2)

    # Body axes: to the person's left (the viewer's right when facing), down, forward.
    def flat(p: np.ndarray) -> np.ndarray:
        return np.array([p[0] * cos + p[2] * sin, p[1]])

    def depth(p: np.ndarray) -> float:
        return p[0] * sin - p[2] * cos

    def bone(start: np.ndarray, side: int, outward: float, forward: float, length: float) -> np.ndarray:
        out, fore = np.deg2rad(outward), np.deg2rad(forward)
        along = [side * np.sin(out), np.cos(out) * np.cos(fore), np.cos(out) * np.sin(fore)]
        return start + length * np.array(along)

    skin = hsv(rng.uniform(18, 30), rng.uniform(0.3, 0.6), rng.uniform(0.5, 0.98))
    hair = hsv(rng.uniform(15, 45), rng.uniform(0.2, 0.8), rng.uniform(0.08, 0.5))
    shirt = hsv(rng.uniform(0, 360), rng.uniform(0.55, 0.95), rng.uniform(0.5, 0.95))
    shirt_accent = hsv(rng.uniform(0, 360), rng.uniform(0, 0.4), rng.uniform(0.75, 1.0))
    pattern = [None, None, stripes(0.075), stripes(0.07, 90), dots(0.06)][rng.integers(5)]
    trousers = hsv(rng.uniform(200, 400), rng.uniform(0.2, 0.7), rng.uniform(0.18, 0.5))
    shoes = hsv(rng.uniform(0, 360), rng.uniform(0, 0.8), rng.uniform(0.1, 0.4))
    long_sleeves, shorts, skirt = rng.random() < 0.5, rng.random() < 0.25, rng.random() < 0.2
    sleeve = shirt if long_sleeves else skin
    stocking = skin if shorts or skirt else trousers

    waver, step = rng.choice([-1, 1], 2)
    joints = {}
    for name, side in (('left', 1), ('right', -1)):
        shoulder = np.array([side * 0.11 * girth, 0.235, 0])
        hip = np.array([side * 0.062 * girth, 0.54, 0])
        out, fore, out2, fore2, leg_out, leg_fore, knee_bend = limb_angles(rng, pose, side, waver, step)
        elbow = bone(shoulder, side, out, fore, 0.16)
        knee = bone(hip, side, leg_out, leg_fore, 0.215)
        wrist = bone(elbow, side, out2, fore2, 0.145)
        ankle = bone(knee, side, leg_out * 0.5, leg_fore - knee_bend, 0.205)
        limbs = dict(shoulder=shoulder, elbow=elbow, wrist=wrist, hip=hip, knee=knee, ankle=ankle)
        joints |= {f'{name}_{part}': joint for part, joint in limbs.items()}

    def leg(name: str) -> None:
        h, k, a = (flat(joints[f'{name}_{part}']) for part in ('hip', 'knee', 'ankle'))
        toe = flat(joints[f'{name}_ankle'] + np.array([0, 0.026, 0.055]))
        figure.add(capsule(a + (0, 0.02), toe, 0.028, 0.024), shoes, f'{name}_leg')
        figure.add(capsule(k, a, 0.045 * girth, 0.032 * girth), stocking, f'{name}_leg')
        figure.add(capsule(h, k, 0.066 * girth, 0.049 * girth), trousers, f'{name}_leg')

    def arm(name: str) -> None:
        s, e, w = (flat(joints[f'{name}_{part}']) for part in ('shoulder', 'elbow', 'wrist'))
        hand = w + 0.028 * (w - e) / max(np.linalg.norm(w - e), 0.05)
        figure.add(ellipse(*hand, 0.033, 0.033), skin, f'{name}_arm')
        figure.add(capsule(e, w, 0.036 * girth, 0.028 * girth), sleeve, f'{name}_arm')
        figure.add(capsule(s, e, 0.045 * girth, 0.038 * girth), shirt, f'{name}_arm', pattern, shirt_accent)

    facing = cos > 0
    far, near = ('left', 'right') if depth(joints['left_shoulder']) > 0 else ('right', 'left')
    turned = {far} if abs(sin) > 0.45 else set()
    behind = [n for n in (far, near) if depth(joints[f'{n}_wrist']) > 0.06 or n in turned]
    for name in behind:
        arm(name)
    rx, ry = 0.075 * head, 0.092 * head
    long_hair = rng.random() < 0.35
    if long_hair and facing:
        figure.add(rounded(box(-1.15 * rx, 0.07, 1.15 * rx, 0.1 + rng.uniform(1.2, 2.0) * ry)), hair)
    leg(far)
    leg(near)
    shoulders = np.hypot(0.14 * girth * cos, 0.085 * girth * sin)
    hips = np.hypot(0.115 * girth * cos, 0.09 * girth * sin)
    if skirt:
        hem = hips + rng.uniform(0.02, 0.07)
        figure.add(polygon(-hips, 0.5, hips, 0.5, hem, 0.7, -hem, 0.7), trousers, 'hips')
    else:
        figure.add(rounded(box(-hips, 0.48, hips, 0.595)), trousers, 'hips')
    figure.add(capsule((0, 0.15), (0, 0.22), 0.035 * girth, 0.045 * girth), skin, 'neck')
    torso = symmetric(0.55 * shoulders, 0.19, shoulders, 0.215, 0.92 * shoulders, 0.32, hips, 0.53)
    figure.add(rounded(torso), shirt, 'torso', pattern, shirt_accent)

    center = np.array([0, 0.095, 0])
    figure.add(ellipse(*flat(center), 1.07 * rx, 1.07 * ry), hair, 'hair')
    eye, ear = np.array([0.4, -0.02, 0.8]), np.array([1.02, 0.1, -0.1])
    points = dict(nose=(0, 0.25, 0.95), left_eye=eye, right_eye=eye * (-1, 1, 1))
    points |= dict(left_ear=ear, right_ear=ear * (-1, 1, 1))
    points = {k: center + np.array(v) * (rx, ry, rx) for k, v in points.items()}
    ears = [name for name in ('left_ear', 'right_ear') if depth(points[name]) < 0.6 * rx]
    for name in ears:
        figure.add(ellipse(*flat(points[name]), 0.2 * rx, 0.24 * ry), 0.92 * skin, name)
    if facing:
        middle = flat(center + np.array([0, 0.16 * ry, 0.3 * rx]))
        figure.add(ellipse(*middle, 0.84 * rx, 0.86 * ry), skin, 'face')
        for name in ('left_eye', 'right_eye'):
            figure.add(ellipse(*flat(points[name]), 0.15 * rx, 0.13 * ry), hsv(0, 0, 0.97), 'face')
            figure.add(ellipse(*flat(points[name]), 0.09 * rx, 0.11 * ry), hsv(220, 0.4, 0.12), 'face')
        figure.add(ellipse(*flat(points['nose']), 0.11 * rx, 0.13 * ry), 0.8 * skin, 'face')
        mouth = flat(center + np.array([0, 0.6 * ry, 0.75 * rx]))
        figure.add(ellipse(*mouth, 0.26 * rx, 0.07 * ry), hsv(355, 0.6, 0.55), 'face')
    elif long_hair:
        figure.add(rounded(box(-1.1 * rx, 0.06, 1.1 * rx, 0.1 + rng.uniform(1.2, 1.8) * ry)), hair)
    for name in (far, near):
        if name not in behind:
            arm(name)

    for name, point in (points | joints).items():
        side, _, part = name.partition('_')
        seen, carriers = True, (f'{side}_{"arm" if part in ("shoulder", "elbow", "wrist") else "leg"}',)
        if part in ('shoulder', 'hip'):
            seen = side == near or abs(sin) < 0.75
            carriers += ('hips', 'torso') if part == 'hip' else ('torso',)
        elif name in points:
            seen, carriers = (name in ears, (name,)) if part == 'ear' else (facing, ('face',))
        figure.keypoints[name] = flat(point), seen, carriers
    return figure


def car(rng) -> Figure:
    """A car from its side, in warm paint."""
    figure = Figure('car')
    paint = hsv(rng.uniform(-15, 55), rng.uniform(0.75, 0.95), rng.uniform(0.7, 0.95))
    glass = hsv(200, rng.uniform(0.1, 0.3), rng.uniform(0.6, 0.9))
    roof, rear, front = rng.uniform(-0.24, -0.17), rng.uniform(-0.44, -0.3), rng.uniform(0.08, 0.2)
    nose = front + rng.uniform(0.1, 0.18)
    middle, top = (rear + front) / 2 + 0.03, roof + 0.035
    cabin = polygon(rear - 0.06, 0, rear + 0.04, roof, front, roof, nose, 0, nose, 0.06, rear - 0.06, 0.06)
    figure.add(rounded(cabin), 0.95 * paint)
    for window in (
        polygon(rear + 0.01, -0.01, rear + 0.07, top, middle - 0.015, top, middle - 0.015, -0.01),
        polygon(middle + 0.015, -0.01, middle + 0.015, top, front - 0.015, top, nose - 0.05, -0.01),
    ):
        figure.add(window, glass)
    body = polygon(-0.5, 0.03, -0.47, -0.01, nose, -0.02, 0.47, 0.02, 0.5, 0.07, 0.5, 0.17, -0.5, 0.17)
    figure.add(rounded(body), paint)
    figure.add(box(-0.5, 0.125, 0.5, 0.165), hsv(0, 0, 0.25))
    figure.add(box(middle - 0.006, 0, middle + 0.006, 0.12), 0.6 * paint)
    figure.add(box(middle - 0.07, 0.03, middle - 0.03, 0.043), 0.5 * paint)
    figure.add(ellipse(0.465, 0.06, 0.022, 0.026), hsv(55, 0.3, 1.0))
    figure.add(box(-0.5, 0.04, -0.475, 0.09), hsv(0, 0.95, 0.6))
    for x in (-0.29, 0.29):
        for radius, gray in ((0.105, 0.1), (0.055, 0.75), (0.018, 0.3)):
            figure.add(ellipse(x, 0.16, radius, radius), hsv(0, 0, gray))
    return figure


def boat(rng) -> Figure:
    """A sailing boat: a hull with a stripe and two sails."""
    figure = Figure('boat')
    hull = hsv(rng.uniform(195, 235), rng.uniform(0.7, 0.95), rng.uniform(0.3, 0.6))
    wood, cream = hsv(30, 0.6, 0.35), hsv(rng.uniform(35, 55), rng.uniform(0.02, 0.16), 0.97)
    stripe = hsv(rng.uniform(-20, 20), 0.85, 0.85)
    mast, tip = rng.uniform(-0.1, 0.05), -rng.uniform(0.42, 0.6)
    figure.add(box(mast - 0.013, tip - 0.04, mast + 0.013, 0.25), wood)
    pattern = stripes(rng.uniform(0.14, 0.2)) if rng.random() < 0.5 else None
    belly = rng.uniform(0.02, 0.06)
    main = polygon(mast - 0.02, tip, mast - 0.18 - belly, -0.1, mast - 0.33, 0.19, mast - 0.02, 0.19)
    figure.add(main, cream, '', pattern, stripe)
    jib = polygon(mast + 0.03, tip + 0.06, mast + 0.15 + belly, -0.08, mast + 0.27, 0.2, mast + 0.03, 0.2)
    figure.add(jib, 0.93 * cream)
    figure.add(polygon(mast + 0.013, tip - 0.04, mast + 0.12, tip - 0.005, mast + 0.013, tip + 0.03), stripe)
    body = polygon(-0.48, 0.24, 0.52, 0.22, 0.4, 0.4, 0.34, 0.44, -0.36, 0.44, -0.42, 0.38)
    figure.add(rounded(body, 1), hull)
    figure.add(polygon(-0.465, 0.27, 0.49, 0.255, 0.46, 0.3, -0.45, 0.31), hsv(0, 0, 0.97))
    return figure


def bottle(rng) -> Figure:
    """A bottle of green or brown glass with a label."""
    figure = Figure('bottle')
    hue = rng.uniform(105, 140) if rng.random() < 0.6 else rng.uniform(20, 32)
    glass = hsv(hue, rng.uniform(0.7, 0.95), rng.uniform(0.35, 0.6))
    half, shoulder, neck = rng.uniform(0.135, 0.18), rng.uniform(-0.16, -0.04), rng.uniform(0.045, 0.06)
    outline = symmetric(neck, -0.45, neck, shoulder - 0.12, half, shoulder + 0.06, half, 0.5)
    figure.add(rounded(outline), glass)
    cap = hsv(rng.uniform(0, 360), 0.8, 0.8)
    figure.add(rounded(box(-neck - 0.014, -0.5, neck + 0.014, -0.41), 1), cap)
    label = hsv(rng.uniform(35, 60), rng.uniform(0.05, 0.35), 0.97)
    top, low = shoulder + rng.uniform(0.12, 0.16), rng.uniform(0.36, 0.42)
    figure.add(box(-half, top, half, low), label)
    figure.add(box(-half, top + 0.04, half, top + 0.085), cap)
    figure.add(ellipse(0, (top + low) / 2 + 0.04, 0.5 * half, 0.5 * half), cap)
    figure.add(rounded(box(-0.78 * half, shoulder + 0.05, -0.58 * half, 0.46)), 0.45 * glass + 120)
    return figure


def tv(rng) -> Figure:
    """A television on its stand, with a bright picture."""
    figure = Figure('tv')
    case = hsv(rng.uniform(0, 360), 0.1, rng.uniform(0.06, 0.2))
    half, top, low, edge = rng.uniform(0.58, 0.74), -0.45, 0.36, rng.uniform(0.045, 0.065)
    figure.add(box(-0.06, low - 0.02, 0.06, 0.46), case)
    figure.add(rounded(polygon(-0.3, 0.43, 0.3, 0.43, 0.36, 0.5, -0.36, 0.5), 1), case)
    figure.add(box(-half, top, half, low), case)
    x0, y0, x1, y1 = -half + edge, top + edge, half - edge, low - edge
    hue = rng.uniform(170, 320)
    if rng.random() < 0.5:  # a landscape with a sun
        figure.add(box(x0, y0, x1, y1), hsv(hue, 0.55, 1.0))
        figure.add(ellipse(rng.uniform(-0.3, 0.3), y0 + 0.2, 0.09, 0.09), hsv(52, 0.7, 1.0))
        xs = x0, x0, 0.5 * x0, 0, 0.4 * x1, x1, x1
        ys = y1 - np.array([0, 0.2, 0.38, 0.15, 0.3, 0.12, 0])
        figure.add(np.stack([xs, ys], 1), hsv(hue + 60, 0.8, 0.75))
    else:  # a test picture
        edges = np.linspace(x0, x1, 7)
        for a, b, turn in zip(edges[:-1], edges[1:], rng.permutation(6), strict=True):
            figure.add(box(a, y0, b, y1), hsv(60 * turn, 0.75, 1.0))
        figure.add(box(x0, y1 - 0.16, x1, y1), hsv(hue, 0.8, 0.4))
    figure.add(polygon(x0, y0, x0 + 0.25, y0, x0, y0 + 0.35), hsv(0, 0, 1.0))
    figure.add(ellipse(half - 0.08, low - 0.5 * edge, 0.015, 0.015), hsv(0, 0.9, 0.9))
    return figure


def potted_plant(rng) -> Figure:
    """Leaves, some with flowers, in a terracotta pot."""
    figure = Figure('potted plant')
    clay = hsv(rng.uniform(8, 22), rng.uniform(0.6, 0.8), rng.uniform(0.55, 0.8))
    hue, wide = rng.uniform(85, 135), rng.uniform(0.16, 0.22)
    flower = hsv(rng.uniform(290, 420), 0.7, 1.0)
    flowering = rng.random() < 0.45
    for turn in rng.permutation(np.linspace(-80, 80, rng.integers(9, 14))):
        turn, length = turn + rng.uniform(-6, 6), rng.uniform(0.42, 0.6) - abs(turn) * 0.0012
        leaf = symmetric(0, -1, 0.04, -0.85, 0.075, -0.6, 0.055, -0.35, 0, 0)
        leaf *= rng.uniform(0.75, 1.15), length
        green = hsv(hue + rng.uniform(-12, 12), rng.uniform(0.65, 0.95), rng.uniform(0.3, 0.75))
        figure.add(rounded(leaf, 1) @ rotation(turn).T + (0, 0.12), green)
        vein = polygon(-0.006, -0.1, 0.006, -0.1, 0, -0.85) * (1, length)
        figure.add(vein @ rotation(turn).T + (0, 0.12), 0.6 * green)
        if flowering and rng.random() < 0.5:
            x, y = rotation(turn) @ (0, -length) + (0, 0.12)
            for petal in range(5):
                dx, dy = 0.04 * (rotation(72 * petal)[:, 0])
                figure.add(ellipse(x + dx, y + dy, 0.028, 0.028, n=12), flower)
            figure.add(ellipse(x, y, 0.022, 0.022, n=12), hsv(48, 0.9, 1.0))
    figure.add(symmetric(wide, 0.15, 0.7 * wide, 0.5), clay)
    figure.add(box(-wide - 0.025, 0.1, wide + 0.025, 0.19), 1.12 * clay)
    figure.add(symmetric(0.9 * wide, 0.19, 0.88 * wide, 0.215), 0.6 * clay)
    return figure


def airplane(rng) -> Figure:
    """An airliner from its side: white or silver, with a colored tail."""
    figure = Figure('airplane')
    white = hsv(rng.uniform(190, 230), rng.uniform(0, 0.08), rng.uniform(0.88, 1.0))
    livery = hsv(rng.uniform(190, 370), rng.uniform(0.75, 0.95), rng.uniform(0.55, 0.85))
    gray, fat = 0.68 * white, rng.uniform(0.062, 0.082)
    figure.add(polygon(0.02, -0.02, -0.13, -0.2, -0.2, -0.2, -0.12, -0.01), 0.8 * gray)
    figure.add(polygon(-0.38, -0.03, -0.5, -0.27, -0.42, -0.27, -0.24, -0.03), livery)
    body = (-0.52, -0.05, -0.4, -fat, 0.36, -fat, 0.46, -0.035, 0.5, 0.015, 0.44, 0.05, 0.34, fat, -0.25, fat)
    figure.add(rounded(polygon(*body)), white)
    figure.add(polygon(-0.42, 0, 0.46, 0, 0.48, 0.022, -0.36, 0.022), livery)
    for x in np.arange(-0.3, 0.34, 0.055):
        figure.add(box(x, -0.04, x + 0.026, -0.012), hsv(215, 0.6, 0.25))
    figure.add(polygon(0.4, -0.045, 0.455, -0.03, 0.465, -0.012, 0.4, -0.012), hsv(215, 0.6, 0.2))
    figure.add(polygon(0.12, 0.03, -0.18, 0.25, -0.27, 0.25, -0.1, 0.03), gray)
    figure.add(capsule((-0.03, 0.13), (0.05, 0.13), 0.03, 0.034), 0.8 * white)
    figure.add(polygon(-0.36, -0.02, -0.5, 0.06, -0.44, 0.06, -0.28, 0.0), gray)
    return figure


FIGURES = {
    figure.__name__.replace('_', ' '): figure
    for figure in (person, car, boat, bottle, tv, potted_plant, airplane)
}
