"""Every page of a worker, with what it needs; called once by bootstrap."""

import faust

from streamapp.settings import Settings
from streamapp.web.admission import Admission
from streamapp.web.gate import Gate
from streamapp.web.generate import Answerer, generate
from streamapp.web.health import Health
from streamapp.web.openai import openai
from streamapp.web.probes import probes

#: Requests over HTTP that wait for one of the running ones, as a multiple of those.
WAITING_FACTOR = 4


def install(app: faust.App, *, answerer: Answerer, health: Health, settings: Settings) -> None:
    """Register all views on ``app``.

    ``answerer`` is the router that the stream uses: limits and budgets are shared through it,
    but HTTP runs up to ``MAX_IN_FLIGHT`` records of its own at once.
    """
    running = settings.max_in_flight
    admission = Admission(
        health=health,
        gate=Gate(running, running * WAITING_FACTOR),
        models=settings.models,
        deadline_s=settings.deadline_s,
    )
    blueprints = [
        probes(health),
        generate(answerer=answerer, admission=admission),
        openai(answerer=answerer, admission=admission, models=settings.models),
    ]
    for blueprint in blueprints:
        blueprint.register(app)
