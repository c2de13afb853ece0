"""The outbox's state machine, retries, and the rules that fill it."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ethostat.errors import InvalidInput
from ethostat.notifying import DEAD, QUEUED, SENT, Delivery, MemoryOutbox, Retries, Rule, targets_of

RNG = random.Random(1)  # noqa: S311 - jitter, not secrets
ALERT = {"id": "prod/1", "kind": "change", "tier": "page", "message": "changed"}


def test_a_delivery_that_arrives_is_claimed_then_sent():
    """queued, claimed for the time of the lease, sent; sent is the end."""
    claimed = Delivery(1, "chat").claimed(100.0, lease=60.0)

    assert (claimed.state, claimed.attempts, claimed.next_at) == (QUEUED, 1, 160.0)
    assert not claimed.is_due(159.9)
    assert claimed.is_due(160.0)
    assert claimed.delivered().state == SENT
    with pytest.raises(InvalidInput, match="is sent cannot be claimed"):
        claimed.delivered().claimed(200.0, lease=60.0)


def test_waits_grow_threefold_up_to_the_longest():
    """Without jitter: 5 s, 15, 45, 135 ... and never more than `longest`."""
    retries = Retries(first=5, factor=3, longest=100, jitter=0)

    assert [retries.wait(n, RNG) for n in range(1, 6)] == [5, 15, 45, 100, 100]
    assert Retries(jitter=0).wait(10_000, RNG) == 6 * 3600


def test_the_default_retries_go_on_for_most_of_a_day():
    """The eleven waits between twelve attempts add up to 12 to 24 hours, whatever the jitter."""
    waits = [Retries(jitter=jitter).wait(n, RNG) for jitter in (0.0, 0.5) for n in range(1, 12)]

    assert 20 * 3600 < sum(waits[:11]) < 24 * 3600
    assert sum(waits[11:]) > 11 * 3600


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(attempts=st.integers(1, 30), jitter=st.floats(0, 1), seed=st.integers(0, 1000))
def test_jitter_only_shortens(attempts, jitter, seed):
    """A wait lies between (1 - jitter) times the exponential one and that one."""
    most = Retries(jitter=0).wait(attempts, RNG)

    wait = Retries(jitter=jitter).wait(attempts, random.Random(seed))  # noqa: S311
    assert (1 - jitter) * most - 1e-9 <= wait <= most


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fates=st.lists(st.booleans(), max_size=12), most=st.integers(1, 6))
def test_a_delivery_is_tried_until_it_arrives_or_attempts_are_used_up(fates, most):
    """Whatever happens, attempts never exceed the most, and the state says what the last one did."""
    retries, one, now = Retries(attempts=most), Delivery(1, "t"), 0.0
    for arrives in fates:
        if one.state != QUEUED:
            break
        now = max(now, one.next_at)
        one = one.claimed(now, lease=60)
        one = one.delivered() if arrives else one.failed("no", now, retries=retries, rng=RNG)

    arrived = True in fates[:most]
    assert one.state == (SENT if arrived else DEAD if len(fates) >= most else QUEUED)
    assert one.attempts <= most


def test_what_a_target_asks_to_wait_is_kept_within_the_longest():
    """A Retry-After of 60 s prolongs the wait, one of ten years does not."""
    one, retries = Delivery(1, "t").claimed(0.0, lease=60), Retries(first=5, longest=3600, jitter=0)

    assert one.failed("busy", 0.0, retries=retries, rng=RNG, wait=60.0).next_at == 60.0
    assert one.failed("busy", 0.0, retries=retries, rng=RNG, wait=1.0).next_at == 5.0
    assert one.failed("busy", 0.0, retries=retries, rng=RNG, wait=3e8).next_at == 3600.0


def test_a_dead_letter_can_be_revived():
    """It goes back into the queue with all its attempts; only what is dead does."""
    dead = Delivery(1, "t").claimed(0.0, lease=1).failed("gone\x1b[31m", 0.0, retries=Retries(), rng=RNG, for_good=True)

    assert (dead.state, dead.error) == (DEAD, "gone[31m")
    assert dead.revived(9.0) == Delivery(1, "t", QUEUED, 0, 9.0, "gone[31m")
    with pytest.raises(InvalidInput, match="queued cannot be revived"):
        dead.revived(9.0).revived(9.0)


def test_an_outbox_holds_each_pair_once():
    """The same alert for the same target is queued once, also after it was sent."""
    outbox = MemoryOutbox()

    assert outbox.add(ALERT, ["chat", "pager", "chat"]) == 2
    (first, _) = outbox.claim(0.0, lease=60, most=9)
    outbox.record(first.delivery, first.delivery.delivered())
    assert outbox.add(ALERT, ["chat", "pager"]) == 0
    assert len(outbox.deliveries(SENT)) == 1


def test_two_couriers_do_not_claim_the_same():
    """A claim hides a delivery until its lease ends; then another has it, and the late word of the first is refused."""
    outbox = MemoryOutbox()
    outbox.add(ALERT, ["chat"])
    (slow,) = outbox.claim(0.0, lease=60, most=9)

    assert outbox.claim(59.0, lease=60, most=9) == []
    (quick,) = outbox.claim(60.0, lease=60, most=9)
    assert outbox.record(quick.delivery, quick.delivery.delivered())
    assert not outbox.record(slow.delivery, slow.delivery.failed("late", 61.0, retries=Retries(), rng=RNG))
    assert [one.state for one in outbox.deliveries()] == [SENT]


def test_rules_are_joined_and_name_each_target_once():
    """Every rule that takes an alert adds its targets, in the order of the rules."""
    rules = [
        Rule(("chat",), streams=("prod-*", "canary")),
        Rule(("pager", "chat"), tiers=("page",), kinds=("change", "no-data")),
        Rule(("safety",), labels={"team": "s*"}),
        Rule(("theirs",), tenants=("b",)),
    ]
    case = {"stream": "prod-eu", "tier": "page", "kind": "change", "labels": {"team": "safety"}}

    assert targets_of(rules, **case) == ("chat", "pager", "safety")
    assert targets_of(rules, **case, tenant="b") == ("chat", "pager", "safety", "theirs")
    assert targets_of(rules, **case | {"tier": "warn", "labels": {}}) == ("chat",)
    assert targets_of(rules, **case | {"stream": "test", "labels": {"team": "x"}}) == ("pager", "chat")
    assert targets_of(rules, **case | {"stream": "test", "kind": "recovered", "labels": {}}) == ()


def test_a_pattern_in_a_stream_name_means_nothing():
    """Names are text, only rules hold patterns: a stream called `*` fits no rule but `*`, `[*]` and the like."""
    case = {"tier": "page", "kind": "change", "labels": {}}

    assert not targets_of([Rule(("t",), streams=("prod",))], stream="*", **case)
    assert not targets_of([Rule(("t",), streams=("prod",))], stream="prod\n", **case)
