"""Heliograph: train, measure and read emergent communication in teams of learning agents."""

from heliograph.moved import find_moved

__version__ = "0.1.0"

find_moved()
