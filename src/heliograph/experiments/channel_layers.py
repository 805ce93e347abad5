"""A channel as its layers: wrappers, outermost first, and the channel that they wrap, each with its settings.

In full it is a list, `[("delayed", {"steps": 2}), ("dru", {"bits": 3})]`, in which a name or a class may stand for a
layer without settings, and a wrapper may occur twice. The short form is a string, "delayed+dru": its settings are one
dict, from which each layer takes those that it knows.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["ChannelLayer", "channel_text", "layer_names", "layers_of", "wrapped_in"]


class ChannelLayer(NamedTuple):
    """One layer by name, import path or class; `settings` None: what it knows of those of the whole channel."""

    channel: Any
    settings: Mapping[str, Any] | None


def layers_of(channel: Any, settings: Mapping[str, Any]) -> tuple[ChannelLayer, ...]:
    """Return the layers of a channel, outermost first; raises ValueError where a list is no list of layers."""
    if isinstance(channel, str):
        return tuple(ChannelLayer(part.strip(), None) for part in channel.split("+"))
    if not isinstance(channel, Sequence):
        return (ChannelLayer(channel, None),)
    if settings:
        raise ValueError(
            f"channel_settings={dict(settings)}: the layers of channel={channel_text(channel)!r} are a list, so put "
            'each setting beside its layer, as in [("delayed", {"steps": 2}), "dru"]'
        )
    if not channel:
        raise ValueError("channel=[]: needs at least one layer; 'none' is the channel on which nothing is said")
    return tuple(map(_layer, channel))


def _layer(part: Any) -> ChannelLayer:
    if not isinstance(part, Sequence) or isinstance(part, str):
        return ChannelLayer(part, {})
    is_pair = len(part) == len(ChannelLayer._fields) and isinstance(part[1], Mapping)
    if not is_pair or (isinstance(part[0], Sequence) and not isinstance(part[0], str)):
        raise ValueError(f'channel layer {part!r}: must be a name, or a pair such as ("delayed", {{"steps": 2}})')
    return ChannelLayer(part[0], dict(part[1]))


def layer_names(layers: Sequence[ChannelLayer]) -> tuple[str, ...]:
    """Return a name for each layer; the second one of a name is numbered, as in "delayed_2"."""
    seen: Counter[str] = Counter()
    names = []
    for layer in layers:
        name = _name(layer.channel)
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return tuple(names)


def wrapped_in(wrapper: str, channel: Any) -> Any:
    """Return a channel, in either form, with one more wrapper around it."""
    if isinstance(channel, str):
        return f"{wrapper}+{channel}"
    return [wrapper, *channel] if isinstance(channel, Sequence) else [wrapper, channel]


def channel_text(channel: Any) -> str:
    """Return the names of a channel's layers as in its short form, for tables and messages."""
    if isinstance(channel, str) or not isinstance(channel, Sequence):
        return _name(channel)
    return "+".join(_name(layer.channel) for layer in map(_layer, channel))


def _name(channel: Any) -> str:
    return channel if isinstance(channel, str) else getattr(channel, "__name__", repr(channel))
