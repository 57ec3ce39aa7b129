"""All that is known of who asks and what it costs: what the server shares under one name."""

from __future__ import annotations

from dataclasses import dataclass, field

from .keys import Keyring
from .prices import Prices
from .pricing import Pricing


@dataclass(slots=True)
class Accounts:
    keys: Keyring = field(default_factory=Keyring)
    pricing: Pricing = field(default_factory=lambda: Pricing(Prices(), {}))
