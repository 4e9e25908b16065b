"""Numbers and tables as people read them."""

from collections.abc import Iterable, Sequence

GROUPS = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))


def amount(value: float) -> str:
    """``22 billion``, ``1.53 billion``, ``12,345``."""
    for size, name in GROUPS:
        if abs(value) >= size:
            return f"{value / size:.3g} {name}"
    return f"{value:,.0f}"


def dollars(value: float) -> str:
    return f"${value:,.0f}" if abs(value) >= 100 else f"${value:,.2f}"


def duration(hours: float) -> str:
    """In the unit that fits: minutes, hours or days."""
    if hours < 1:
        return f"{hours * 60:.1f} minutes"
    return f"{hours:,.1f} hours" if hours < 72 else f"{hours / 24:,.1f} days ({hours:,.0f} hours)"


def rows(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Two columns, names and values."""
    listed = list(pairs)
    width = max((len(name) for name, _ in listed), default=0)
    return [f"  {name:<{width}}  {value}".rstrip() for name, value in listed]


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> list[str]:
    """Columns as wide as they must be, the first to the left and the others to the right."""
    listed = [list(head), *(list(line) for line in lines)]
    widths = [max(len(line[column]) for line in listed) for column in range(len(head))]
    return [
        "  " + "  ".join(f"{cell:<{width}}" if column == 0 else f"{cell:>{width}}" for column, (cell, width) in pairs).rstrip()
        for pairs in ([*enumerate(zip(line, widths, strict=True))] for line in listed)
    ]


def page(*sections: tuple[str, Sequence[str]]) -> str:
    """Titles with their lines, an empty line between sections."""
    return "\n".join("\n".join([title, *lines, ""]) for title, lines in sections)
