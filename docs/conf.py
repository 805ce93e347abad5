"""How Sphinx builds these pages; the list of components is written anew at every build."""

import pathlib

import heliograph
from heliograph import registry

project = "Heliograph"
author = "The Heliograph maintainers"
project_copyright = author
version = release = heliograph.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
default_role = "code"
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"Heliograph {release}"
html_show_copyright = False

REFERENCE = """What `import heliograph as hg` offers, made from the docstrings. These names stay where they are; other
modules may move between versions. Sizes are told by letters, which [concepts](../concepts.md) explains."""
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


def entry(name: str, place: str) -> str:
    """The signature and the docstring of a public name, with the public methods of a class that is ours."""
    module, _, attribute = place.partition(":")
    is_class = isinstance(getattr(heliograph, name), type)
    members = "   :members:\n" if is_class else ""
    kind = "autoclass" if is_class else "autofunction"
    return f"### {name}\n\n```{{eval-rst}}\n.. {kind}:: {module}.{attribute}\n{members}```"


def write_reference() -> None:
    """Write the page of all that `import heliograph` offers."""
    groups = [
        "\n\n".join([f"## {title}", *(entry(name, place) for name, place in names.items())])
        for title, names in heliograph.PUBLIC.items()
    ]
    page = pathlib.Path(__file__).parent / "_generated" / "reference.md"
    page.write_text("\n\n".join(["# Reference", REFERENCE, *groups]) + "\n")


write_components()
write_reference()
