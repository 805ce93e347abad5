"""Full information: the upper bound, a team in which everyone sees everything."""

from heliograph.models.blocks import QuietRecurrent
from heliograph.types import Execution

__all__ = ["FullInformation"]


class FullInformation(QuietRecurrent):
    """A GRU over the environment's full `state` in place of the agent's own observation; it needs no messages.

    It cannot be deployed agent by agent (`CENTRALISED`): it exists to show what information is worth.
    """

    use_state = True
    execution = Execution.CENTRALISED
