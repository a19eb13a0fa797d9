"""Upkeep goes by the clock, whatever strangers do."""

from types import SimpleNamespace

from hookward.django.keeper import Keeper

# More than rounds of five seconds make an hour.
ROUNDS = 2_000


def test_a_flood_of_forgeries_makes_nobody_forget_more_often():
    """Each forgery wakes the keeper. What it forgets then is a write to the database, which no forgery may cost."""
    rounds, expired = [], []

    def keys_due(_now):
        rounds.append(1)
        keeper.wake()
        if len(rounds) == ROUNDS:
            keeper.stop()
        return []

    receiver = SimpleNamespace(tend_after=100.0, keys_due=keys_due)
    keeper = Keeper(SimpleNamespace(receiver=receiver, clock=lambda: 0, expire=lambda: expired.append(1)))
    keeper._run(keeper._stopped, keeper._wanted)
    assert len(rounds) == ROUNDS
    assert expired == []
