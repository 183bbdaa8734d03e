from __future__ import annotations

from threading import Thread

from invoke_core.wakeups import Wakeups


def test_everybody_who_waits_for_an_invocation_is_woken() -> None:
    wakeups = Wakeups()

    with wakeups.waiting("one") as first, wakeups.waiting("one") as second:
        thread = Thread(target=wakeups.wake, args=("one",))
        thread.start()

        assert first.wait(5)
        assert second.wait(5)
        thread.join()


def test_nobody_else_is_woken() -> None:
    wakeups = Wakeups()

    with wakeups.waiting("one") as one:
        wakeups.wake("two")

        assert not one.is_set()


def test_an_end_before_the_wait_but_after_its_beginning_is_not_missed() -> None:
    wakeups = Wakeups()

    with wakeups.waiting("one") as one:
        wakeups.wake("one")

        assert one.wait(0)


def test_who_left_is_forgotten_and_the_others_are_not() -> None:
    wakeups = Wakeups()

    with wakeups.waiting("one") as stays:
        with wakeups.waiting("one") as left:
            pass
        wakeups.wake("one")

        assert stays.is_set()
        assert not left.is_set()
    wakeups.wake("one")
    assert wakeups._waiting == {}
