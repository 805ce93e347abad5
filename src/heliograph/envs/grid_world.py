"""What environments on a grid share: who stands where, and what is seen from a cell. Cells are row * width + column."""

import dataclasses

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["GridSights", "check_vision", "count_on", "draw_distinct", "grid_sights"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class GridSights:
    """From each cell, and from nowhere (the last row): which cells are in sight, and their numbers, one-hot.

    A cell beyond the edge, and all that is seen from nowhere, is the cell `nowhere`; nowhere sees zeros.
    """

    numbers: Float[Tensor, "cells1 WV"]
    cells: Int[Tensor, "cells1 W"]


def grid_sights(numbers: Int[Tensor, "height width"], *, vision: int, outside: int, vocabulary: int) -> GridSights:
    """Sights of (2 vision + 1)^2 cells; `numbers` are those of the cells, `outside` is that of what lies beyond."""
    side, nowhere = 2 * vision + 1, numbers.numel()
    grid = torch.arange(nowhere, device=numbers.device).view(numbers.shape)
    padded = [F.pad(table, (vision,) * 4, value=filling) for table, filling in ((numbers, outside), (grid, nowhere))]
    seen, cells = (table.unfold(0, side, 1).unfold(1, side, 1).reshape(nowhere, -1) for table in padded)
    one_hot = F.one_hot(seen, vocabulary).float().flatten(1)
    return GridSights(numbers=F.pad(one_hot, (0, 0, 0, 1)), cells=F.pad(cells, (0, 0, 0, 1), value=nowhere))


def count_on(cell: Int[Tensor, "B n"], mask: Bool[Tensor, "B n"], *, num_cells: int) -> Float[Tensor, "B cells1"]:
    """Return how many of those in the mask stand on each cell; the last is nowhere."""
    none = torch.zeros(len(cell), num_cells + 1, device=cell.device)
    return none.scatter_add(1, cell, mask.float())


def draw_distinct(
    copies: int, *, number: int, among: int, generator: torch.Generator, device: torch.device
) -> Int[Tensor, "B n"]:
    """So many different whole numbers below `among`, all ordered choices being equally likely.

    Each is drawn from those left, and moved past those taken.
    """
    taken = torch.zeros(copies, 0, dtype=torch.long, device=device)
    for left in range(among, among - number, -1):
        new = torch.randint(left, (copies,), generator=generator, device=device)
        for lower in taken.sort(1).values.unbind(1):
            new = new + (new >= lower)
        taken = torch.cat([taken, new[:, None]], 1)
    return taken


def check_vision(vision: int) -> None:
    """Refuse a vision that is no whole number of at least 0."""
    if isinstance(vision, bool) or not isinstance(vision, int) or vision < 0:
        raise ValueError(f"vision={vision!r}: must be a whole number of at least 0")
