"""kill -9 under load: nothing acknowledged is lost, nothing counts twice, monitors are those of a replay."""

from __future__ import annotations

import random

from serving import FLAGS, Client, check_whole, serving


def test_killed_under_load_it_loses_and_repeats_nothing(database, tmp_path):
    """Killed at random moments while clients tell and tell again, a service has each event once."""
    rng, clients = random.Random(7), []  # noqa: S311 - moments of death
    with serving(database) as first:
        port = first.port
        clients = [Client(number, port) for number in range(2)]
        for client in clients:
            client.start()
        clients[0].stopping.wait(2.0)
        first.kill()
    for _ in range(2):
        with serving(database, *FLAGS, port=port) as one:
            clients[0].stopping.wait(rng.uniform(0.5, 2.0))
            one.kill()
    with serving(database, *FLAGS, port=port) as last:
        clients[0].stopping.wait(1.0)
        for client in clients:
            client.stopping.set()
        for client in clients:
            client.join()
        last.wait_until(
            lambda: (
                last.get("/v1/streams") and not any(one["lag"]["events"] for one in last.get("/v1/streams")["streams"])
            ),
            seconds=120,
        )
        assert last.stop() == 0

    assert check_whole(database, clients) > 500
