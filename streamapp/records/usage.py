"""The usage record: what the calls of one second cost, by model and tenant."""

from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from streamapp.records.response import Dollars


class UsageRecord(BaseModel):
    """Sums over the paid provider attempts of one worker in one second, or in a part of it.

    Attributes:
        at: Start of the second, UTC. Records that are equal but for their sums add up, also of one
            worker: none replaces another.
        provider: As in ``[providers.NAME]``.
        model: The one that answered; the record's key.
        tenant: ``metadata.tenant`` of the records; empty without one.
        api_key: Name of the HTTP key behind them; empty for records of other producers, and for
            keys without a name.
        calls: Provider attempts that generated something, of no use or re-asks included; never
            those from a cache.
        input_tokens: As the provider counted them.
        output_tokens: As the provider counted them.
        cost_usd: US dollars; None where the model's price is unknown, or tokens are estimated.
        estimated: Whether the tokens are guessed: of attempts that the provider did not count.
    """

    model_config = ConfigDict(frozen=True)

    at: datetime
    provider: str
    model: str
    tenant: str = ""
    api_key: str = ""
    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: Dollars | None = Decimal(0)
    estimated: bool = False

    def key(self) -> bytes:
        """Return the record's key on its topic: the model."""
        return self.model.encode()

    def encode(self) -> bytes:
        """Return the record's JSON, UTF-8."""
        return self.model_dump_json().encode()
