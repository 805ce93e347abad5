"""How Sphinx builds these pages; the list of components is written anew at every build."""

import pathlib

import heliograph
from heliograph import registry

project = "Heliograph"
author = "The Heliograph maintainers"
project_copyright = author
version = release = heliograph.__version__

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"Heliograph {release}"
html_show_copyright = False

TITLES = {
    "env": "Environments",
    "model": "Models",
    "channel": "Channels",
    "topology": "Topologies",
    "algorithm": "Algorithms",
    "loss": "Losses",
    "measure": "Measures",
    "recipe": "Recipes",
}
INTRODUCTION = """What `heliograph list` finds: a component has the name of its file. Settings are keywords, shown with
their defaults."""


def settings_of(kind: str, name: str) -> str:
    """The keyword settings of a component with their defaults, in one line."""
    parameters = registry.settings_of(registry.load(kind, name)).values()
    shown = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters]
    return f"`{', '.join(shown)}`".replace("|", "\\|") if shown else "none"


def row(kind: str, name: str) -> str:
    """A line of a table."""
    return f"| `{name}` | {registry.summary(kind, name)} | {settings_of(kind, name)} |"


def section(kind: str) -> str:
    """A heading and a table of all components of a kind."""
    rows = [row(kind, name) for name in registry.names(kind)]
    table = ["| name | what it is | settings |", "|---|---|---|", *rows] if rows else ["None yet."]
    return "\n".join([f"## {TITLES[kind]}", "", *table])


def write_components() -> None:
    """Write the page that lists what the registry finds."""
    page = pathlib.Path(__file__).parent / "_generated" / "components.md"
    page.parent.mkdir(exist_ok=True)
    page.write_text("\n\n".join(["# Components", INTRODUCTION, *map(section, TITLES)]) + "\n")


write_components()
