"""A plain multi-layer perceptron that speaks and listens."""

from torch import Tensor, nn

from heliograph.checks import check_choice, check_positive
from heliograph.functional import tanh
from heliograph.models.base import Model, ModelSpec, Perceived
from heliograph.models.blocks import InputTorso, small_head
from heliograph.types import Heard, Inputs, Timing

__all__ = ["Feedforward"]

LAYERS = (1, 2)


class Feedforward(Model):
    """Two layers of `size` tanh units without memory; messages are heard in the step after they are said.

    The mean of the incoming messages is added before the second layer; with `heard_layer=1` before the first, where
    they are seen as if they stood in the observation (as the words of particle tasks do). Last actions are seen where
    `last_action`.
    """

    timing = Timing.NEXT_STEP
    row_by_row = True

    def __init__(self, spec: ModelSpec, *, size: int = 64, last_action: bool = False, heard_layer: int = 2):
        super().__init__(spec)
        check_positive("size", size)
        check_choice("heard_layer", heard_layer, valid=LAYERS)
        self.heard_layer = heard_layer
        self.hidden_size = self.message_size = size
        self.torso = InputTorso(spec, size, last_action=last_action)
        self.middle = nn.Linear(size, size)
        self.head = small_head(size, spec.action_inputs)

    def encode(self, inputs: Inputs) -> Tensor:
        """The first layer, before its tanh where messages come in before it."""
        features = self.torso(inputs)
        return features if self.heard_layer == 1 else tanh(features)

    def perceive(self, features: Tensor, memory: Tensor, inbox: Heard | None) -> Perceived:
        """The second layer, over features and messages."""
        x = features if inbox is None else features + inbox.mean()
        if self.heard_layer == 1:
            x = tanh(x)
        return Perceived(hidden=tanh(self.middle(x)), memory=memory)

    def act(self, hidden: Tensor) -> Tensor:
        """Inputs of the action distribution."""
        return self.head(hidden)
