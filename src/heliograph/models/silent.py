"""Silent: a recurrent network that neither speaks nor listens."""

from heliograph.models.blocks import QuietRecurrent

__all__ = ["Silent"]


class Silent(QuietRecurrent):
    """One GRU of `size` units over the agent's own inputs; sends nothing, hears nothing.

    For a no-communication control of exactly the same architecture, train that one on the channel `none` instead.
    """

    use_state = False
    row_by_row = True
