"""The route of embeddings that name none: what `EMBED_MODEL` means."""

from collections.abc import Collection, Mapping

from streamapp.settings.tables import ModelSettings


def embed_route(
    model: str | None, *, providers: Collection[str], models: Mapping[str, ModelSettings]
) -> ModelSettings | None:
    """Return the route that answers embeddings by default, None for that of everything else.

    Args:
        model: A route, ``PROVIDER/MODEL``, or a bare model of the default route's provider.
        providers: By their configured names.
        models: The routes.
    """
    if not model or model == "default":
        return None
    if route := models.get(model):
        return route
    if model.partition("/")[0] in providers or "default" not in models:
        return ModelSettings(targets=[model])
    provider = models["default"].targets[0].partition("/")[0]
    return ModelSettings(targets=[f"{provider}/{model}"])
