"""Programs that read a graph: pictures, a player, explanations, summaries. Nothing here is loaded before it is used."""

from importlib import import_module

# no file has the name of its function: importing viz.network must not hide the function network
HOME = dict(draw="graph", to_dot="graph", make_dot="graph", Drawing="graph", network="neurons", explain="chain_rule", play="player",
            train="training", Film="training", summary="summaries", curves="plots", landscape="plots", boundary="plots", weights="plots",
            confusion="plots", Progress="display", GraphRendererMissing="render", render_svg="render")  # fmt: skip


def __getattr__(name):
    """Find the file that defines `name`, and load it."""
    if name not in HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(sorted(HOME))}")
    value = getattr(import_module(f"{__name__}.{HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *HOME})


__all__ = sorted(HOME)  # noqa: PLE0605
