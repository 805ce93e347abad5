"""A plain multi-layer perceptron that speaks and listens."""

from torch import Tensor, nn

from heliograph.checks import check_positive
from heliograph.functional import tanh
from heliograph.models.base import Model, ModelSpec, Perceived
from heliograph.models.blocks import InputTorso, small_head
from heliograph.types import Heard, Inputs, Timing

__all__ = ["Feedforward"]


class Feedforward(Model):
    """Two layers of `size` tanh units without memory; messages are heard in the step after they are said.

    The mean of the incoming messages is added before the second layer. Last actions are seen where `last_action`.
    """

    timing = Timing.NEXT_STEP
    row_by_row = True

    def __init__(self, spec: ModelSpec, *, size: int = 64, last_action: bool = False):
        super().__init__(spec)
        check_positive("size", size)
        self.hidden_size = self.message_size = size
        self.torso = InputTorso(spec, size, last_action=last_action)
        self.middle = nn.Linear(size, size)
        self.head = small_head(size, spec.action_inputs)

    def encode(self, inputs: Inputs) -> Tensor:
        """The first layer."""
        return tanh(self.torso(inputs))

    def perceive(self, features: Tensor, memory: Tensor, inbox: Heard | None) -> Perceived:
        """The second layer, over features and messages."""
        x = features if inbox is None else features + inbox.mean()
        return Perceived(hidden=tanh(self.middle(x)), memory=memory)

    def act(self, hidden: Tensor) -> Tensor:
        """Inputs of the action distribution."""
        return self.head(hidden)
