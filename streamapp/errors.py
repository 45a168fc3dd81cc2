"""Every error streamapp raises on purpose, in one tree, by who must act.

StreamappError
├── ConfigurationError          operator, before anything starts (exit 2)
├── DeliveryFailed              operator: the broker did not take a record we must not lose
├── LeaseLost                   nobody: another worker owns the partition, and answers the record
├── ToolError                   the model: what a tool tells it in place of a result
├── RegistryUnavailable         operator: the schema registry does not answer; records wait
├── SchemaRefused               operator: the registry does not take the schema of an output
└── Failure                     ends one record; carries the dead-letter ``kind``
    ├── RecordError             producer of the record
    │   ├── Undecodable, UnknownType, TooLarge, Expired
    │   └── InvalidRecord       ModelForbidden: by the key that sent it
    ├── PromptError             author of the prompt, or a reference to one that does not exist
    │   └── PromptNotFound, PromptConflict: the label is protected, or was moved meanwhile
    ├── OutputInvalid           the model's answer does not fit the schema
    ├── BudgetExceeded
    ├── StepLimit               an agent that did not come to an answer within its bounds
    ├── RetriesExhausted        AllProvidersFailed; the last retryable error is its ``__cause__``
    ├── InternalError           a bug of ours or of a user's processor
    └── ProviderError           vendor; carries provider, retryable, retry_after_s
        ├── RateLimited, ProviderTimeout, ProviderUnavailable
        ├── GarbledAnswer       a 200 that is no completion; AnswerBroken: it did not end
        ├── PartSent            whatever it was, no other answer can take its place
        ├── ProviderDenied      401, quota, ModelUnavailable: nothing the record can help
        │   └── ProviderForbidden   403, a final 429, or a quote: it, or this record
        ├── TargetOpen, TargetBusy      taken for down, or another may: no attempt was made
        └── ProviderRejected    ContextLengthExceeded, ContentFiltered, ParameterRefused

Messages may name our own fields, never a value of a record: they travel in headers and logs.
"""

from streamapp.kinds import Kind as Kind
from streamapp.rate_hints import RateHints as RateHints


class StreamappError(Exception):
    """Root of the tree."""


class ConfigurationError(StreamappError):
    """A setting, file or topic is wrong; the message says what to change."""


class DeliveryFailed(StreamappError):
    """A response, dead letter or ledger entry was not acknowledged by the broker."""


class LeaseLost(StreamappError):
    """The partition may belong to another worker: this one must not write its outcome."""


class ToolError(StreamappError):
    """Raised in a tool: the model gets the message in place of a result, and may try otherwise."""


class RegistryUnavailable(StreamappError):
    """The schema registry gives no answer: whatever needs it waits."""


class SchemaRefused(StreamappError):
    """The schema registry does not take a schema: it is incompatible or invalid."""


class Failure(StreamappError):
    """Ends one record as a dead letter of ``kind``.

    Attributes:
        kind: Also the ``code`` over HTTP.
        attempts: Provider attempts already made for the record when it failed.
        paid: Those of them that are paid for although they failed, or may be.
        shared: Those of the paid ones that broke off at the moment when other records' did.
        ends_probe: Whether it told that a target is still down.
        took_s: How long the last attempt took, seconds.
    """

    kind: Kind = Kind.INTERNAL
    attempts: int = 0
    paid: int = 0
    shared: int = 0
    ends_probe: bool = False
    took_s: float = 0.0


class RecordError(Failure):
    """The producer of the record must change it."""


class Undecodable(RecordError):
    """The bytes are not UTF-8 JSON."""

    kind = Kind.UNDECODABLE


class InvalidRecord(RecordError):
    """The JSON does not have the record's shape."""

    kind = Kind.INVALID


class ModelForbidden(InvalidRecord):
    """The HTTP key that sent the record may not use the model that it, or its prompt, names."""


class UnknownType(RecordError):
    """No processor is registered for the record's ``type``."""

    kind = Kind.UNKNOWN_TYPE


class TooLarge(RecordError):
    """The record or its answer exceeds what the topics can carry."""

    kind = Kind.TOO_LARGE


class Expired(RecordError):
    """The record's own ``deadline`` passed before it was answered."""

    kind = Kind.EXPIRED


class PromptError(Failure):
    """The prompt cannot be used: missing variables, bad template."""

    kind = Kind.PROMPT_ERROR


class PromptNotFound(PromptError):
    """No prompt, version or label of that name."""


class PromptConflict(PromptError):
    """Somebody else decided otherwise: look again, or use force."""


class OutputInvalid(Failure):
    """The model's answer did not fit its schema, re-asks included."""

    kind = Kind.OUTPUT_INVALID


class BudgetExceeded(Failure):
    """A budget with action ``dead_letter`` is spent."""

    kind = Kind.BUDGET_EXCEEDED


class StepLimit(Failure):
    """The model asked for more steps than its bounds, deadline or budget allow."""

    kind = Kind.STEP_LIMIT


class RetriesExhausted(Failure):
    """The record's deadline or attempts ran out over retryable errors."""

    kind = Kind.RETRIES_EXHAUSTED


class AllProvidersFailed(RetriesExhausted):
    """Every target of the route failed."""


class InternalError(Failure):
    """A processor raised something that is not in this tree."""


class ProviderError(Failure):
    """A provider did not give a completion.

    Attributes:
        provider: The configured provider's name.
        retryable: Whether the same call may succeed later.
        retry_after_s: The provider's own wish, seconds, or None.
        status: HTTP status, or None where there was no answer.
        hints: What the provider said of its limits.
        is_paid: Whether something was generated, or may have been.
        is_ours: Whether nothing came while this process stood still: no news of the provider.
        is_own: Whether a refusal is surely the record's: others were answered too often meanwhile.
        is_quote: Whether all that tells what it means may be the record's own words.
        told: What it said itself, which may quote the request: for who wants it shown, alone.
    """

    kind = Kind.RETRIES_EXHAUSTED
    retryable: bool = False
    is_paid: bool = False
    is_ours: bool = False
    is_own: bool = False
    is_quote: bool = False
    told: str = ""
    hints: RateHints | None = None

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        retry_after_s: float | None = None,
        status: int | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.retry_after_s = retry_after_s
        self.status = status
        if retryable is not None:
            self.retryable = retryable


class RateLimited(ProviderError):
    """429 that waiting can cure."""

    retryable = True


class ProviderTimeout(ProviderError):
    """No complete answer within the provider's timeout."""

    retryable = True


class ProviderUnavailable(ProviderError):
    """Connection errors, 408, 409 and 5xx."""

    retryable = True


class GarbledAnswer(ProviderError):
    """A success status whose body is no completion."""

    retryable = True
    is_paid = True


class AnswerBroken(GarbledAnswer):
    """An answer that began and did not end: what came of it is paid for."""


class PartSent(ProviderError):
    """Ends a call of whose answer a part was passed on for good; ``kind`` is that of its cause."""


class ProviderDenied(ProviderError):
    """A wrong key, exhausted quota: the operator must act, the record is not at fault."""


class ModelUnavailable(ProviderDenied):
    """The model was retired, or never was there: the operator must name another."""


class ProviderForbidden(ProviderDenied):
    """It, the account or the address: a 403 without a known reason, a web page, or a quote."""


class TargetOpen(ProviderError):
    """The target's circuit breaker is open; never leaves the fallback."""


class TargetBusy(ProviderError):
    """It refused calls lately and would have to be waited for, while another target is left."""

    retryable = True


class ProviderRejected(ProviderError):
    """400, 404 or 422: the same call will never succeed."""

    kind = Kind.REJECTED


class ParameterRefused(ProviderRejected):
    """The provider does not take a parameter, or a value of it.

    Attributes:
        parameters: Their names as we send them; never empty.
        by_value: Whether it takes the parameters, and only these values not.
        beside: It takes the parameters, but not together with this one; empty for not at all.
        wanted: The values that it takes alone where no stream is asked for; None for any.
    """

    parameters: tuple[str, ...] = ()
    by_value: bool = False
    beside: str = ""
    wanted: dict[str, object] | None = None


class ContextLengthExceeded(ProviderRejected):
    """The input does not fit the model's context window."""

    kind = Kind.CONTEXT_LENGTH


class ContentFiltered(ProviderRejected):
    """The provider's policy refused the input or withheld the output."""

    kind = Kind.CONTENT_FILTERED
