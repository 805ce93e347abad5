"""Heliograph: train, measure and read emergent communication in teams of learning agents."""

__version__ = "0.1.0"
