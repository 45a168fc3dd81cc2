"""OAUTHBEARER against an Apache Kafka that asks for tokens."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.stage import Stage, ask
from tests.support.kafka import KafkaBroker
from tests.support.token_server import CLIENT_ID, CLIENT_SECRET, TokenServer
from tests.support.waiting import until
from tests.support.worker import ROOT, WorkerProcess

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

LOGIN = (
    "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required"
    ' unsecuredLoginStringClaim_sub="broker";'
)


@pytest.fixture
async def guarded(kafka_installed: None, tmp_path: Path) -> AsyncIterator[KafkaBroker]:
    """A broker with a listener that takes tokens alone, until they expire."""
    broker = KafkaBroker(
        tmp_path / "kafka",
        listeners={"OAUTH": "SASL_PLAINTEXT"},
        config={
            "listener.name.oauth.sasl.enabled.mechanisms": "OAUTHBEARER",
            "listener.name.oauth.oauthbearer.sasl.jaas.config": LOGIN,
            "listener.name.oauth.oauthbearer.connections.max.reauth.ms": "600000",
        },
    )
    await broker.start()
    yield broker
    broker.kill9()


def settings(broker: KafkaBroker) -> dict[str, str]:
    return {
        "broker": f"kafka://127.0.0.1:{broker.listener_ports['OAUTH']}",
        "kafka_security_protocol": "SASL_PLAINTEXT",
        "kafka_allow_plaintext_sasl": "true",
        "kafka_sasl_mechanism": "OAUTHBEARER",
    }


async def test_worker_enters_by_client_credentials(guarded: KafkaBroker, tmp_path: Path) -> None:
    """It answers, goes on when its first token has expired, and shows no secret."""
    async with TokenServer() as server, Stage(guarded, tmp_path, partitions=1) as stage:
        server.lifetime_s = 10
        await stage.open()
        worker = await stage.ready_worker(
            **settings(guarded),
            kafka_oauth_token_url=server.url,
            kafka_oauth_client_id=CLIENT_ID,
            kafka_oauth_client_secret=CLIENT_SECRET,
            kafka_oauth_scope="kafka",
        )
        await stage.produce([ask("first", partition=0)])
        await stage.settle(1)
        given = server.given
        await until(lambda: server.given > given, 60, state=worker.tail)
        await stage.produce([ask("behind", partition=0)])
        report = await stage.settle(2)

        assert not report.faults, report
        assert CLIENT_SECRET not in worker.log.read_text()


async def test_refused_token_is_named(guarded: KafkaBroker, tmp_path: Path) -> None:
    """At the start by the exit, while the worker runs by its log; it goes on with a better one."""
    async with TokenServer() as server, Stage(guarded, tmp_path, partitions=1) as stage:
        await stage.open()
        access = settings(guarded) | {
            "kafka_oauth_token_url": server.url,
            "kafka_oauth_client_id": CLIENT_ID,
            "kafka_oauth_client_secret": CLIENT_SECRET,
            "kafka_oauth_scope": "kafka",
        }
        server.is_wrong = True
        refused = stage.start_worker(**access)
        assert await refused.wait(60) == 2
        assert "refuses the token of OAUTHBEARER" in refused.log.read_text()

        server.is_wrong, server.lifetime_s = False, 5
        worker = await stage.ready_worker(**access)
        server.is_wrong = True
        await guarded.stop()
        await guarded.start()
        await until(lambda: worker.has_logged("oauth.token_refused"), 60, state=worker.tail)
        server.is_wrong = False
        await stage.produce([ask("first", partition=0)])
        report = await stage.settle(1)

        assert not report.faults, report


async def test_worker_enters_by_a_callable(guarded: KafkaBroker, tmp_path: Path) -> None:
    """What a cloud's library returns opens the listener as well."""
    (tmp_path / "own_tokens.py").write_text(
        "import time\n"
        "from tests.support.token_server import unsigned_token\n"
        "def fetch():\n"
        "    return unsigned_token(lifetime_s=300), time.time() + 300\n"
    )
    async with Stage(guarded, tmp_path, partitions=1) as stage:
        await stage.open()
        environment = stage.environment(
            **settings(guarded), kafka_oauth_provider="own_tokens:fetch"
        )
        environment["PYTHONPATH"] = f"{ROOT}:{tmp_path}"
        worker = WorkerProcess(tmp_path / "worker", environment)
        stage.workers.append(worker)
        worker.start()
        await worker.wait_ready(120)
        await stage.produce([ask("first", partition=0)])
        report = await stage.settle(1)

        assert not report.faults, report
