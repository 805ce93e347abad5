"""Services that a run is logged to beside its folder, and whether they are installed (imports none of them)."""

import importlib.util
from typing import Any

__all__ = ["TRACKERS", "check_trackers"]

TRACKERS = {"wandb": "Weights & Biases", "mlflow": "MLflow"}
"""Settings of a run that name a project or experiment of a service; the module and the extra are called alike."""


def check_trackers(settings: Any) -> None:
    """Raise ValueError, naming the extra, where a service is asked for that is not installed."""
    for name, service in TRACKERS.items():
        asked = getattr(settings, name)
        if asked is not None and not _is_installed(name):
            raise ValueError(f"{name}={asked!r}: {service} is not installed: pip install 'heliograph[{name}]'")


def _is_installed(name: str) -> bool:
    """Tell whether there is such a package; a folder of that name, in which a service left files, is none."""
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin is not None
