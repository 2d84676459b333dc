"""The frame of a small plot of losses: where its points lie, and its level lines with their values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Frame:
    """A drawing of ``width`` x ``height`` pixels with margins; the plot lies between them."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int

    def place(self, across: float, up: float) -> tuple[float, float]:
        """(x, y) in pixels of a point by its shares (0 to 1) of the plot's width and height."""
        wide, high = self.width - self.left - self.right, self.height - self.bottom - self.top
        return self.left + wide * across, self.top + high * (1 - up)

    def levels(self, highest: float) -> str:
        """Lines at nothing, half of ``highest`` and ``highest``, with their values, as SVG."""
        lines = ""
        for share in (0.0, 0.5, 1.0):
            _, y = self.place(0.0, share)
            lines += f'<line x1="{self.left}" x2="{self.width - self.right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            lines += f'<text x="{self.left - 6}" y="{y + 4:.1f}" text-anchor="end">{highest * share:.3g}</text>'
        return lines
