"""The hold of one attempt: it grows with the answer, and what was billed settles it.

The tokens of a running answer are estimated from its bytes, by the bytes per token of its model (ratios.py). There are two
estimates: the cautious one says how much is held while there is enough money; the likely one says when a stream is ended.
"""

from __future__ import annotations

import math

from llmproxy.core.adapter import Translator
from llmproxy.core.chat import Chat
from llmproxy.core.errors import Cancelled
from llmproxy.core.measure import IMAGE_TOKENS, OUTPUT_LIMITS, answer_settings, measure_of
from llmproxy.core.trace import Attempt
from llmproxy.core.usage import in_e12
from llmproxy.store.spend import Spent

from .bank import BudgetUnavailable
from .holding import Holder
from .pot import LEAST, Pot, slice_of
from .prices import Price
from .ratios import Ratio

ADMISSION_WAIT = 2.0  # seconds to wait for money that other requests only hold
GROW_WAIT = 0.02  # seconds; the provider continues meanwhile, and bills it
SHARED_GROW_WAIT = 1.0  # seconds; another process may give money back
LONGEST_ANSWER = 131_072  # tokens; no model writes more at once, and providers refuse a limit above what theirs writes


class AttemptMeter:
    """The hold of one attempt, in every budget of its key and of its group. Money is in 1e-12 dollars.

    reach: bytes of output that the hold covers. ceiling: see core.metering.Meter; the same, if the model is known. Otherwise it
    is what has arrived, so that `grow` is called for every block: a block is at least one token, however short its text is.
    """

    __slots__ = (
        "_attempt", "_blocks", "_bytes", "_chat", "_counts_blocks", "_held", "_holder", "_images", "_input", "_model",
        "_open", "_paid_tokens", "_pots", "_price", "_rate", "_ratio_in", "_settled", "ceiling", "reach",
    )  # fmt: skip

    def __init__(
        self, holder: Holder, chat: Chat, provider: str, attempt: Attempt, price: Price, pots: list[Pot]
    ) -> None:
        self._holder = holder
        self._chat = chat
        self._attempt = attempt
        self._price = price
        self._pots = pots
        self._model = f"{provider}/{chat.model}"
        self._bytes, self._images = measure_of(chat)
        ratio = holder.bank.ratios.of("in", self._model)
        tokens = self._tokens_in(ratio.cautious)
        self._rate = price.rate("output", tokens) or 0
        self._input = price.cost_of_prompt(tokens)
        self._ratio_in = ratio
        self._held = 0
        self._blocks = self.reach = self._paid_tokens = 0
        self._open = self._settled = self._counts_blocks = False
        self.ceiling = 0

    async def admit(self, wanted: int | None) -> None:
        """Holds the input and a first slice of output. wanted: the client's limit of output tokens. Raises GatewayError."""
        await self._lease()
        tokens = self._first_slice(wanted)
        most = self._input + tokens * self._rate
        if not (self._hold_now(most) or await self._hold(self._least_of(min(tokens, LEAST)), most, ADMISSION_WAIT)):
            raise self._holder.refusal(self._pots)
        for pot in self._pots:
            pot.open += 1
        self._open = True
        self._raise_ceiling(self._ratio_out(), tokens, 0)

    async def _lease(self) -> None:
        """Leases money for the input. Raises BudgetUnavailable if the database is away and requests are then refused."""
        bank = self._holder.bank
        for pot in self._pots:
            if pot.spent + pot.leased > pot.limit:
                await bank.shrink(pot)
        if self._pots and bank.degraded.budgets == "refuse" and bank.store().fault:
            raise BudgetUnavailable
        if not [pot for pot in self._pots if pot.granted - pot.held < self._input]:
            return
        away = await self._holder.bought(self._pots, self._least_of(0), self._input)
        if away is not None and bank.settings.mode != "soft" and bank.degraded.budgets != "allow":
            raise away

    async def clamped(self, chat: Chat, wanted: int | None) -> Chat:
        """For an answer that cannot be metered: holds the whole output, and returns the request with an output limit that the
        budget covers. wanted: as in `admit`."""
        names = OUTPUT_LIMITS.get(chat.face)
        if names is None or self._rate <= 0 or not self._pots or self._holder.unleased:
            return chat
        share = min([pot.free // max(1, pot.open) + self._held for pot in self._pots])
        fits = max(LEAST, (share - self._input) // self._rate)
        most = min(fits, LONGEST_ANSWER if wanted is None else wanted)
        amount = self._input + most * self._rate
        if not self._hold_now(amount):
            await self._hold(self._input, amount, 0.0)
        self._note_hold()
        return chat if most < fits or most == wanted else self._limited(chat, names, most)

    def _limited(self, chat: Chat, names: tuple[str, ...], most: int) -> Chat:
        settings = answer_settings(chat)
        name = next((one for one in names if settings.get(one) is not None), names[-1])
        self._holder.headers["X-LLMProxy-Clamped"] = f"{name}={most}"
        if chat.face == "gemini":
            return chat.with_fields(generationConfig={**settings, name: most})
        return chat.with_fields(**{name: most})

    async def grow(self, translator: Translator) -> None:
        """Holds money for what has arrived and for a further slice. Raises Cancelled if there is none."""
        if translator.done or getattr(translator, "grace", None) is not None:
            return  # the answer is complete and billed: ending it would save nothing
        self._blocks += 1
        produced = translator.produced
        if produced <= self.reach and self._blocks <= self._paid_tokens:
            self.ceiling = produced
            return
        ratio = self._ratio_out()  # of now: other answers may have taught it
        likely = self._arrived(translator, ratio.likely)
        tokens = max(likely, math.ceil(produced / ratio.cautious)) + self._slice()
        if not await self._hold_more(likely, tokens):
            self._holder.bank.ended += 1
            raise Cancelled.because("budget")
        self._raise_ceiling(ratio, tokens, produced)

    async def _hold_more(self, least: int, most: int) -> bool:
        """Holds up to `most` tokens of output. Raises Cancelled if the database of budgets is away."""
        amount = self._input + most * self._rate
        if self._hold_now(amount):
            return True
        wait = GROW_WAIT if self._holder.bank.shares == 1 else SHARED_GROW_WAIT
        try:
            return await self._hold(self._least_of(least), amount, wait)
        except BudgetUnavailable:
            self._holder.bank.ended += 1
            raise Cancelled.because("budget_unavailable") from None

    def _ratio_out(self) -> Ratio:
        ratio = self._holder.bank.ratios.of("out", self._model)
        self._counts_blocks = ratio.likely > ratio.cautious
        return ratio

    def _arrived(self, translator: Translator, bytes_per_token: float) -> int:
        """Tokens of output that have arrived, as far as is known: the provider's running count wins if it is larger."""
        usage = translator.usage
        counted = usage.tokens.completion if usage is not None else 0
        blocks = self._blocks if self._counts_blocks else 0
        return max(math.ceil(translator.produced / bytes_per_token), counted, blocks)

    def _raise_ceiling(self, ratio: Ratio, tokens: int, produced: int) -> None:
        """Sets how far the hold reaches: by the likely estimate if it does not suffice for the cautious one."""
        covered = self._covered(tokens, self._input)
        reach = int(covered * ratio.cautious)
        if ratio.likely > ratio.cautious and reach <= produced:
            covered = self._covered(tokens, self._least_of(0))
            reach = int(covered * ratio.likely)
        self.reach, self._paid_tokens = max(produced, reach), covered
        self.ceiling = produced if self._counts_blocks else self.reach
        self._note_hold()

    def _covered(self, tokens: int, held_for_input: int) -> int:
        """How many of these output tokens the hold covers."""
        return min(tokens, (self._held - held_for_input) // self._rate) if self._rate > 0 else tokens

    def _note_hold(self) -> None:
        """Until the attempt is settled, it is stored with the amount that it holds."""
        self._attempt.cost_e12, self._attempt.price_id = self._held, "held"

    @property
    def bytes_per_token(self) -> tuple[float, float]:
        """Of input and output, as is usual for this model: for an answer without a token count."""
        ratios, produced = self._holder.bank.ratios, self._attempt.produced
        out = ratios.usual("out", self._model)
        if self._counts_blocks and self._blocks:
            out = min(out, max(1, produced) / self._blocks)
        return ratios.usual("in", self._model), out

    def settle(self, attempt: Attempt) -> None:
        if self._settled:
            return
        self._settled = True
        cost = self._cost(attempt)
        attempt.cost_e12, attempt.price_id = cost, "provider" if attempt.cost is not None else self._price.id
        leased = not self._holder.unleased
        for pot in self._pots:
            pot.settle(self._held, cost, leased=leased)
            pot.open -= self._open
            # Also a cost of 0: the hold may already have counted, if this process was considered dead.
            self._holder.spent.append(Spent(pot.key, pot.process if leased else "", cost))
        self._held = 0
        self._learn(attempt)
        self._holder.bank.moved()

    def _cost(self, attempt: Attempt) -> int:
        if attempt.cost is not None:
            return in_e12(attempt.cost)
        if attempt.tokens is None:
            return 0
        cost = self._price.cost(attempt.tokens)
        return self._held if cost is None else cost  # None: something without a price was counted, such as searches

    def _learn(self, attempt: Attempt) -> None:
        """Adds the answer to the bytes per token of its model."""
        tokens = attempt.tokens
        if tokens is None or attempt.usage_source != "provider":
            return
        ratios = self._holder.bank.ratios
        if self._bytes and not self._images:
            ratios.learn("in", self._model, self._bytes, tokens.prompt)
        if attempt.state == "open":
            ratios.learn("out", self._model, attempt.produced, tokens.completion)

    def _tokens_in(self, bytes_per_token: float) -> int:
        return math.ceil(self._bytes / bytes_per_token) + self._images * IMAGE_TOKENS

    def _first_slice(self, wanted: int | None) -> int:
        if self._chat.face == "embeddings":
            return 0
        part = self._slice()
        return part if not wanted or part < wanted else wanted

    def _slice(self) -> int:
        """Tokens by which the hold grows: what the scarcest budget allows."""
        part = self._holder.bank.settings.slice_tokens
        for pot in self._pots:
            part = slice_of(pot.unheld, pot.open, self._rate, part)
        return part

    def _least_of(self, tokens: int) -> int:
        """The cost of the input and of so many tokens of output, by the likely estimate of the input."""
        ratio, cost = self._ratio_in, self._input
        if ratio.likely > ratio.cautious:
            cost = self._price.cost_of_prompt(self._tokens_in(ratio.likely))
        return cost + tokens * self._rate

    def _hold_now(self, amount: int) -> bool:
        """Raises the hold to the amount, if leases cover it: nearly always."""
        if amount <= self._held:
            return True
        if not self._holder.hold_now(self._pots, amount - self._held):
            return False
        self._held = amount
        return True

    async def _hold(self, least: int, most: int, seconds: float) -> bool:
        """As `_hold_now`, if leases do not cover `most`: raises the hold to it, or to as much as there is, from `least` on.

        May wait. False: there is not even the least.
        """
        held = self._held
        lacking = least - held if least > held else 0
        more = await self._holder.hold(self._pots, lacking, most - held, seconds, first=held == 0)
        if more is None:
            return False
        self._held = held + more
        return True
