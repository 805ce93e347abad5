"""With age: members are replaced by newcomers, the oldest first."""

import torch
from jaxtyping import Int
from torch import Tensor

from heliograph.checks import check_positive
from heliograph.populations.base import Population, drawn_uniformly

__all__ = ["WithAge"]


class WithAge(Population):
    """Members as in `sampled`, of whom the oldest begins anew every `replace_every` updates, with fresh weights.

    So a language must be learnt again and again from those who speak it: cultural transmission. `replace_role` names
    the role whose members are replaced, such as "receiver" (resets of listeners); without it those of all roles are, by
    number. With `size=1` there is one team whose `replace_role` is reset. Ages differ by `replace_every`, and nobody
    grows older than `size` times that. Source: Li and Bowling 2019, "Ease-of-teaching and language structure from
    emergent communication" (resets of listeners, all at once); Cogswell et al. 2019, "Emergence of compositional
    language with deep generational transmission" (the oldest is replaced). A newcomer's optimiser begins anew, too.
    """

    def __init__(self, *, size: int = 4, replace_every: int = 20, replace_role: str | None = None):
        check_positive("size", size)
        check_positive("replace_every", replace_every)
        if size == 1 and replace_role is None:
            raise ValueError("size=1: replacing both sides of a single team forgets all; name a replace_role")
        super().__init__(size=max(2, size))
        self.size = size
        self.renews_every, self.renews_role = replace_every, replace_role

    def draw(self, num_episodes: int, *, num_agents: int, generator: torch.Generator) -> Int[Tensor, "B N"]:
        """A number for each agent."""
        return drawn_uniformly(num_episodes, num_agents=num_agents, size=self.size, generator=generator)
