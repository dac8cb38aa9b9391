"""Tables of published numbers and what runs measured, ready to be laid out."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from .paper import paper
from .records import Run


@dataclass
class Cell:
    """One number of a table.

    Attributes:
        published (dict): Numbers, or text that is shown as it is, by source.
        measured (Decimal | int, optional): What a run measured, in the table's unit; an int is a count.
        runs (list[Run]): Where that is from: a run; for a gain, two; for a mean, all.
        open (bool): Whether there is something to measure.
    """

    published: dict[str, Decimal | str]
    measured: Decimal | int | None = None
    runs: list[Run] = field(default_factory=list)
    open: bool = True

    @property
    def reference(self) -> Decimal | None:
        """The published number that the measured one is compared with: the first source's."""
        return next((v for v in self.published.values() if isinstance(v, Decimal)), None)

    @property
    def difference(self) -> Decimal | None:
        """What was measured less what was published."""
        return None if None in (self.measured, self.reference) else self.measured - self.reference


@dataclass
class Row:
    """A row of a table, of numbers or of one row's gains over its baseline."""

    labels: list[str]
    cells: list[Cell]
    gain: bool = False


@dataclass
class Table:
    """A table, ready to be laid out.

    Attributes:
        name (str): ``5`` for Table 5.
        title (str): What it shows, and its unit.
        labels (list[str]): Headings of the rows' labels.
        columns (list[str]): Headings of the numbers.
        rows (list[Row]): Its rows.
        digits (int): Decimals of the published numbers.
        grouped (bool): Whether the first label is that of a group of rows.
        notes (list[str]): What to know of it.
        compared (bool): Whether a run is to be trained as the shipped config of its name says.
    """

    name: str
    title: str
    labels: list[str]
    columns: list[str]
    rows: list[Row]
    digits: int
    grouped: bool = False
    notes: list[str] = field(default_factory=list)
    compared: bool = True

    @property
    def runs(self) -> list[Run]:
        """The runs that its numbers are from, in their order, less those of means, which are many."""
        cells = [cell for row in self.rows for cell in row.cells if len(cell.runs) == 1]
        return list(dict.fromkeys(cell.runs[0] for cell in cells))

    @property
    def sources(self) -> dict[str, str]:
        """The sources of its published numbers and what they are."""
        used = {source for row in self.rows for cell in row.cells for source in cell.published}
        return {source: text for source, text in paper()['sources'].items() if source in used}


def show(value: Decimal | int, digits: int, published: Iterable = (), sign: bool = False) -> str:
    """Write a measured number: a digit more than the published ones, where the record has it.

    It never looks like a published number that it isn't: until it doesn't, more digits are shown.

    Example:
        >>> show(Decimal('33.6604'), 1, [Decimal('33.7')])
        '33.66'
        >>> show(Decimal('33.7001'), 1, [Decimal('33.7')])
        '33.7001'
    """
    return f'{value:{"+" if sign and value else ""}.{decimals(value, digits, published)}f}'


def decimals(value: Decimal | int, digits: int, published: Iterable = ()) -> int:
    """How many decimals :func:`show` gives a number."""
    if isinstance(value, int):
        return 0
    exact = max(digits, -value.as_tuple().exponent)
    n = min(exact, digits + 1)
    while n < exact and round(value, n) in published:
        n += 1
    return n


def gain(row: Row, baseline: Row, at: int = 0, name: str = 'gain', lower: Iterable[bool] = ()) -> Row:
    """What a row gained: published where one source has both, measured where both were run.

    Args:
        row (Row): The row.
        baseline (Row): The other.
        at (int): Which of the labels takes the name. Default: 0.
        name (str): What to call it. Default: 'gain'.
        lower (Iterable[bool]): Of each column, whether less is a gain. Default: of none.
    """
    cells = []
    for a, b, less in zip(row.cells, baseline.cells, [*lower] or [False] * len(row.cells)):
        sign = -1 if less else 1
        published = {
            s: sign * (a.published[s] - b.published[s])
            for s in a.published
            if s in b.published and isinstance(a.published[s], Decimal)
        }
        both = None not in (a.measured, b.measured)
        measured = sign * (a.measured - b.measured) if both else None
        cells.append(Cell(published, measured, a.runs + b.runs if both else [], a.open and b.open))
    return Row([*row.labels[:at], name, *[''] * (len(row.labels) - at - 1)], cells, gain=True)
