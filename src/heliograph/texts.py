"""Texts that may be a stranger's, made fit for a message and a terminal."""

import re
from typing import Any

__all__ = ["MOST_CHARACTERS", "NOTHING", "cut", "natural", "one_line", "printable"]

MOST_CHARACTERS = 200
MOST_OF_A_MESSAGE = 1000
NOTHING = "\N{EN DASH}"
"""Stands where nothing was heard, said, done or measured."""


def printable(value: Any) -> str:
    """A text as a terminal may have it: on one line, with what a terminal would obey written as its code."""
    text = str(value)
    return text if text.isprintable() else "".join(x if x.isprintable() else ascii(x)[1:-1] for x in text)


def cut(value: Any, *, at_most: int = MOST_CHARACTERS) -> str:
    """The beginning of a text, printable, with three dots where it is longer."""
    text = str(value)
    return printable(text) if len(text) <= at_most else f"{printable(text[: at_most - 3])}..."


def natural(text: str) -> list[str | int]:
    """A key that sorts texts by the whole numbers in them: seed_2 before seed_10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", text)]


def one_line(error: BaseException, *, at_most: int = MOST_OF_A_MESSAGE) -> str:
    """Return what an error says, in one line of moderate length."""
    text = str(error)[: 2 * at_most]
    return cut(" ".join(text.split()), at_most=at_most) or type(error).__name__
