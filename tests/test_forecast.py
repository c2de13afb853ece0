"""The forecast: tokens, time and money, and the admission of what is not known."""

from __future__ import annotations

import pytest

from ethostat.forecast import Price, Rates, estimate_tokens, find_price, forecast
from ethostat.response import Message, Prompt

SHORT = Prompt("short", (Message("user", "x" * 36),))  # 9 tokens, and 4 for the message
LONG = Prompt("long", (Message("system", "y" * 40), Message("user", "x" * 40)))  # 10 and 10, and 4 each


def test_tokens_are_a_quarter_of_the_characters():
    """Four characters a token and four tokens a message; the system message only where the prompt has none."""
    assert estimate_tokens(SHORT) == 13
    assert estimate_tokens(SHORT, system="z" * 8) == 19
    assert estimate_tokens(LONG, system="z" * 8) == 28


def test_forecast_counts_by_hand():
    """10 x 13 + 2 x 28 prompt tokens, 12 x 100 completion tokens at most, priced."""
    seen = forecast({SHORT: 10, LONG: 2}, max_tokens=100, price=Price(0.001, 0.01, "list"))

    assert (seen.responses, seen.prompt_tokens, seen.completion_tokens) == (12, 186, 1200)
    assert seen.price_usd == pytest.approx(0.186 + 12)
    assert seen.seconds is None
    assert seen.price_source == "list"


def test_measured_rates_sharpen_the_forecast():
    """A model that answered before with 40 tokens at 3 responses a second is expected to do so again."""
    rates = Rates(responses_per_second=3, completion_tokens=40)

    seen = forecast({SHORT: 12}, max_tokens=100, price=Price(0, 0.01, "list"), rates=rates)

    assert (seen.completion_tokens, seen.most_completion_tokens, seen.seconds) == (480, 1200, 4)
    assert (seen.price_usd, seen.most_price_usd) == (pytest.approx(4.8), pytest.approx(12))


def test_unknown_price_is_none_with_a_reason():
    """No price is never zero: the forecast says why there is none."""
    for model, url, why in (
        ("smollm2", None, "smollm2 runs on this machine: no price a token"),
        ("my-model", "http://localhost:8000/v1", "no price is known for my-model at http://localhost:8000/v1"),
    ):
        seen = forecast({SHORT: 1}, max_tokens=10, price=find_price(model, url=url))

        assert (seen.price_usd, seen.most_price_usd, seen.price_source) == (None, None, why)


def test_known_price_comes_from_the_installed_list():
    """A served model that is on the list has a price, without the network."""
    price = find_price("gpt-4o-mini", url="https://api.openai.com/v1")

    assert isinstance(price, Price)
    assert 0 < price.prompt < price.completion < 1e-4
    assert "openai/gpt-4o-mini" in price.source


def test_forecast_is_plain_for_json():
    """to_dict names every figure."""
    fields = forecast({SHORT: 1}, max_tokens=10, price="unknown").to_dict()

    assert fields["price_usd"] is None
    assert fields["prompt_tokens"] == 13
