"""Pictures of a team environment whose messages are actions, for the `render()` of foreign interfaces."""

from typing import Any

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from heliograph.adapters.talk import TalkAsAction
from heliograph.envs.scene import Scene

__all__ = ["RENDERING", "Picture", "picture_of"]

RGB_ARRAY = "rgb_array"
RENDERING: dict[str, Any] = {"render_modes": [RGB_ARRAY], "render_fps": 4}
"""What the metadata of an environment tells of its pictures."""


def picture_of(talk: TalkAsAction, *, mode: str | None) -> "Picture | None":
    """The function that draws in this mode; None where nothing is to be drawn.

    Raises ValueError for a mode that there is not.
    """
    if mode is None:
        return None
    if mode not in RENDERING["render_modes"]:
        raise ValueError(f"render_mode={mode!r}: must be {RGB_ARRAY!r}, or None for no pictures")
    return Picture(talk)


class Picture:
    """Draws the present state, with what was said in the step that led to it; an episode that is over as it ended."""

    def __init__(self, talk: TalkAsAction):
        self.talk = talk
        self._end: Scene | None = None
        talk.env.on_end = self._keep_end

    def draw(self) -> UInt8[np.ndarray, "H W 3"]:
        """The picture; raises RuntimeError before the first reset."""
        from heliograph.rendering.drawables import Said, Speech
        from heliograph.rendering.frames import draw

        talk = self.talk
        if talk.num_steps is None:
            raise RuntimeError("call reset() before render()")
        words = [talk.said.get(agent) for agent in talk.agents]
        said = tuple(() if w is None else (Said(symbols=w, vocabulary=talk.vocab_size),) for w in words)
        slots = {agent: slot for slot, agent in enumerate(talk.agents)}
        hears = [(slots[s], slots[h]) for s, hearers in talk.heard_by.items() for h in hearers if s != h]
        scene = talk.env.scene(talk.env.state) if talk.running or self._end is None else self._end
        heading = f"step {talk.num_steps}" + ("" if talk.running else ", the last")
        return draw(scene, speech=Speech(said=said, hears=tuple(hears)), heading=heading)

    def _keep_end(self, over: Tensor) -> None:
        self._end = self.talk.env.scene(self.talk.env.state)
