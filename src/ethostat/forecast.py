"""What a sampling will take, before it is started: requests, tokens, time and money."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ethostat.conversation import estimate_messages
from ethostat.response import Message, Prompt

_PRICED_TOKENS = 1000  # few: some price lists charge more a token for very long requests


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars a token, and where the figure is from."""

    prompt: float
    completion: float
    source: str

    def of(self, prompt_tokens: float, completion_tokens: float) -> float:
        """US dollars."""
        return self.prompt * prompt_tokens + self.completion * completion_tokens


@dataclass(frozen=True, slots=True)
class Rates:
    """What was measured: responses a second, and tokens a response. Both from an earlier run of the model."""

    responses_per_second: float
    completion_tokens: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a sampling will take. Tokens are estimated from characters; `most` figures are upper bounds.

    `completion_tokens` is what is expected: measured where the model has answered before, else the bound.
    `seconds` is None where the model's speed is not known, `price_usd` where its price is not; `price_source`
    says why, or where the price is from.
    """

    responses: int
    prompt_tokens: int
    completion_tokens: int
    most_completion_tokens: int
    seconds: float | None
    price_usd: float | None
    most_price_usd: float | None
    price_source: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def forecast(
    wanted: Mapping[Prompt, int],
    *,
    max_tokens: int,
    system: str | None = None,
    price: Price | str,
    rates: Rates | None = None,
) -> Forecast:
    """What `wanted` responses a prompt will take.

    `price` is what `find_price` gave: a Price, or the sentence why there is none.
    """
    responses = sum(wanted.values())
    prompt_tokens = sum(estimate_tokens(prompt, system=system) * count for prompt, count in wanted.items())
    most = responses * max_tokens
    expected = round(min(most, responses * rates.completion_tokens)) if rates else most
    return Forecast(
        responses=responses,
        prompt_tokens=prompt_tokens,
        completion_tokens=expected,
        most_completion_tokens=most,
        seconds=responses / rates.responses_per_second if rates else None,
        price_usd=price.of(prompt_tokens, expected) if isinstance(price, Price) else None,
        most_price_usd=price.of(prompt_tokens, most) if isinstance(price, Price) else None,
        price_source=price.source if isinstance(price, Price) else price,
    )


def estimate_tokens(prompt: Prompt, *, system: str | None = None) -> int:
    """Tokens of a prompt, estimated: a token for four characters, and four a message for its frame."""
    messages = list(prompt.messages)
    if system is not None and all(message.role != "system" for message in messages):
        messages.append(Message("system", system))
    return estimate_messages(messages)


def find_price(model: str, *, url: str | None = None) -> Price | str:
    """The list price of a served model, from the price list that is installed; nothing is fetched.

    `model` is the name that the server knows, `url` its address. Gives a sentence where no price is known: a
    price is never taken to be zero.
    """
    # The price list takes a quarter of a second to import; only a priced run needs it.
    from genai_prices import Usage, __version__, calc_price

    if url is None:
        return f"{model} runs on this machine: no price a token"
    try:
        price = calc_price(
            Usage(input_tokens=_PRICED_TOKENS, output_tokens=_PRICED_TOKENS), model, provider_api_url=url
        )
    except LookupError:
        return f"no price is known for {model} at {url}"
    source = f"genai-prices {__version__}: {price.provider.id}/{price.model.id}"
    return Price(float(price.input_price) / _PRICED_TOKENS, float(price.output_price) / _PRICED_TOKENS, source)
