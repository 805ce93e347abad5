"""How Sphinx builds these pages; the list of components is written anew at every build."""

import enum
import pathlib
import re
from typing import Any

import heliograph
from heliograph import registry
from heliograph.recipes.results import measured

project = "Heliograph"
author = "The Heliograph maintainers"
project_copyright = author
version = release = heliograph.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
default_role = "code"
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "_generated"]

html_theme = "furo"
html_title = f"Heliograph {release}"
html_show_copyright = False

INTRODUCTIONS = {
    "Running": "Train a team: from settings in one call, or from a configuration of RLlib.",
    "Runs and what they said": "Read what training left, play it, record it, measure it and show it.",
    "Environments and teams": "Make the parts of an experiment by name, and adapt environments of other libraries.",
    "Writing components": "Base classes, the structures that they exchange, and the checks: see\n"
    "[Extending](extending/index.md).",
}
OFFERED = {
    "CommPPOConfig": "communication, training",
    "CommA2CConfig": "communication, training",
    "CommDQNConfig": "communication, training",
    "CommMAACConfig": "communication, training",
    "CommMADDPGConfig": "communication, training",
    "CommMAPPOConfig": "communication, training",
    "CommPPO": "",
    "CommA2C": "",
    "CommDQN": "",
    "CommMAAC": "",
    "CommMADDPG": "",
    "CommMAPPO": "",
}
"""Classes on top of RLlib's, with the methods that users call; what else they override is for RLlib."""
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
INTRODUCTION = "Every environment also takes what `BaseSettings` names: {common}."
COMMON = tuple(heliograph.BaseSettings.__annotations__)
"""Settings of every environment, which the table of environments leaves out."""


def settings_of(kind: str, name: str) -> str:
    """The keyword settings of a component with their defaults, in one line."""
    found = registry.settings_of(registry.load(kind, name)).values()
    parameters = [p for p in found if kind != "env" or p.name not in COMMON]
    shown = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters]
    return f"`{', '.join(shown)}`".replace("|", "\\|") if shown else "none"


def row(kind: str, name: str) -> str:
    """A line of a table."""
    return f"| `{name}` | {registry.summary(kind, name)} | {settings_of(kind, name)} |"


def section(kind: str) -> str:
    """A heading and a table of all components of a kind."""
    names = registry.names(kind)
    if kind != "recipe":
        return "\n".join([f"## {TITLES[kind]}", "", *table(kind, names)])
    tested = [name for name in names if measured(name) is not None]
    untested = [name for name in names if name not in tested]
    parts = ("### Measured", tested), ("### Untested: nobody has run these to their end", untested)
    return "\n".join([f"## {TITLES[kind]}", *(x for head, own in parts for x in ("", head, "", *table(kind, own)))])


def table(kind: str, names: list[str]) -> list[str]:
    """The rows of some components of a kind, below a head."""
    rows = [row(kind, name) for name in names]
    return ["| name | what it is | settings |", "|---|---|---|", *rows] if rows else ["None yet."]


def write_components() -> None:
    """Write the tables of what the registry finds, which `components.md` includes."""
    page = pathlib.Path(__file__).parent / "_generated" / "components.md"
    page.parent.mkdir(exist_ok=True)
    common = ", ".join(f"`{name}`" for name in COMMON)
    page.write_text("\n\n".join([INTRODUCTION.format(common=common), *map(section, TITLES)]) + "\n")


def entry(name: str, place: str) -> str:
    """The directive that documents a public name: by that name, or where it is defined under another one."""
    found = getattr(heliograph, name)
    kind = "class" if isinstance(found, type) else "function"
    path = f"heliograph.{name}" if found.__name__ == name or kind == "function" else place.replace(":", ".")
    note = "" if path == f"heliograph.{name}" else f"The public name of `{found.__name__}`.\n\n"
    lines = [f".. auto{kind}:: {path}", *(f"   {option}" for option in options(name, found))]
    return f"### {name}\n\n{note}```{{eval-rst}}\n" + "\n".join(lines) + "\n```"


def options(name: str, found: Any) -> list[str]:
    """Which members of a class are shown: those with a docstring, all of an enum, or those that `OFFERED` names."""
    if not isinstance(found, type) or not OFFERED.get(name, "all"):
        return []
    every = [":undoc-members:"] if issubclass(found, enum.Enum) else []
    return [f":members: {OFFERED.get(name, '')}".rstrip(), *every]


def write_reference() -> None:
    """Write what `reference.md` includes: all that `import heliograph` offers."""
    groups = [
        "\n\n".join([f"## {title}", INTRODUCTIONS[title], *(entry(name, place) for name, place in names.items())])
        for title, names in heliograph.PUBLIC.items()
    ]
    page = pathlib.Path(__file__).parent / "_generated" / "reference.md"
    page.write_text("\n\n".join(groups) + "\n")


def readable(signature: str) -> str:
    """A signature without what pydantic and dataclasses add: constraints of numbers, and `<factory>`."""
    return re.sub(r"Annotated\[(\w+), [^\]]*\]", r"\1", signature.replace("<factory>", "..."))


def process_signature(*arguments: Any) -> tuple[str, str] | None:
    """The readable signature, for Sphinx, which hands over (app, what, name, object, options, signature, returns)."""
    signature, returns = arguments[-2:]
    return signature and (readable(signature), returns)


def keep_letters(*arguments: Any) -> None:
    """Have a docstring that is one letter, such as `T.`, read as text, not as the first item of a list."""
    lines = arguments[-1]
    if lines and re.fullmatch(r"[A-Za-z]\.", lines[0]):
        lines[0] = "\\" + lines[0]


def skip_member(app: Any, what: str, name: str, *others: Any) -> bool | None:
    """Leave out the configuration that every pydantic class has."""
    return True if name == "model_config" else None


def setup(app: Any) -> None:
    """Connect what makes the reference readable."""
    app.connect("autodoc-process-signature", process_signature)
    app.connect("autodoc-process-docstring", keep_letters)
    app.connect("autodoc-skip-member", skip_member)


write_components()
write_reference()
