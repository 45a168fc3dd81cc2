"""The Faust app, with the options under which its workers lose nothing."""

from collections.abc import Sequence

from streamapp.settings import SESSION_LIMIT_S, Settings
from streamapp.streaming.app.lifecycle import StreamApp
from streamapp.streaming.app.worker import Worker
from streamapp.streaming.broker.security import broker_credentials
from streamapp.streaming.consumer.input_queue import InputQueue
from streamapp.streaming.flows.assignor import LedgerBoundAssignor
from streamapp.streaming.tables.recovery import Tables
from streamapp.streaming.window.membership import Membership
from streamapp.web.middleware import Middleware
from streamapp.web.server import Web, web_options

#: Longest time until the client looks at its topics again, milliseconds.
METADATA_MAX_AGE_MS = 15_000


def faust_app(settings: Settings, *, middlewares: Sequence[Middleware] = ()) -> StreamApp:
    """Return the app, without anything in it; ``middlewares`` see every request first."""

    class App(StreamApp):
        def _new_web(self) -> Web:
            return Web(self, settings=settings)

        def FlowControlQueue(  # noqa: N802  # Faust's own name
            self, maxsize: int | None = None, *, clear_on_resume: bool = False
        ) -> InputQueue:
            return InputQueue(
                maxsize=maxsize or 0,
                flow_control=self.flow_control,
                clear_on_resume=clear_on_resume,
            )

    return App(
        settings.app_id,
        # Faust lets its own environment variables win over these arguments.
        env={},
        broker=settings.broker,
        broker_credentials=broker_credentials(settings),
        store=settings.store,
        datadir=settings.data_dir,
        Worker=Worker,
        TableManager=Tables,
        autodiscover=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=settings.partitions,
        PartitionAssignor=LedgerBoundAssignor,
        topic_replication_factor=settings.replication_factor,
        table_standby_replicas=0,
        # Faust would wait, unbounded, for all unacked records before it lets us drain.
        stream_wait_empty=False,
        stream_buffer_maxsize=4_096,
        stream_processing_timeout=86_400.0,
        stream_recovery_delay=0.0,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.session_timeout_s / 5,
        broker_rebalance_timeout=120.0,
        broker_request_timeout=SESSION_LIMIT_S,
        broker_commit_interval=1.0,
        broker_commit_livelock_soft_timeout=86_400.0,
        # All partitions paused for longer, and the client leaves the group for good.
        broker_max_poll_interval=1_000_000.0,
        # What the client still sends after the session would be a stranger's.
        producer_request_timeout=write_limit_s(settings),
        # How late it is seen that a topic has more partitions, or was made anew; Faust says 5 min.
        consumer_metadata_max_age_ms=METADATA_MAX_AGE_MS,
        # Per partition, several times over: what is fetched ahead stands in memory more than once.
        # A larger record is fetched all the same.
        consumer_max_fetch_size=262_144,
        producer_max_request_size=1_040_000,
        # What gathers while a request is on its way leaves with the next one, however much it is.
        producer_max_batch_size=262_144,
        **web_options(settings, outermost=middlewares),
    )


def write_limit_s(settings: Settings) -> float:
    """Return how long one write to Kafka may take, seconds: less than the session."""
    return 0.4 * settings.session_timeout_s


def membership(settings: Settings) -> Membership:
    """Return the membership of a worker, which may begin a write that ends within its session."""
    return Membership(settings.session_timeout_s - write_limit_s(settings))
