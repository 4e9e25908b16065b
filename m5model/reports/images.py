"""Images of pages, as SVG that stands in the page itself."""

from xml.sax.saxutils import escape, quoteattr


def image(width: float, height: float, text: str, content: str, kind: str, *, stretched: bool = False) -> str:
    """Frame ``content``, whose unit is a pixel; ``text`` is what it shows in words, ``kind`` its class in the page's style.

    ``stretched``: it fills the place that it is given, whatever the ratio of its sides.
    """
    ratio = ' preserveAspectRatio="none"' if stretched else ""
    return (
        f'<svg class="{kind}"{ratio} viewBox="0 0 {width} {height}" role="img" aria-label={quoteattr(text)}>'
        f"<title>{escape(text)}</title>{content}</svg>"
    )
