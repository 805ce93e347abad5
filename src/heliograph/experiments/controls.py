"""The controls of a run by name: teams trained as long to whom messages can be of no use. It imports no torch."""

__all__ = ["CONTROLS", "USUAL_CONTROLS"]

CONTROLS = ("silent", "garbled", "self")
"""No channel (no-communication), noise in place of messages (random-message), and hearing oneself alone (self-only)."""
USUAL_CONTROLS = ("silent", "garbled")
"""Those that are trained where nobody says which."""
