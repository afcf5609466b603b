"""While SumUp is silent one question at a time finds out whether it still is, and nobody else waits for it."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from payments.sumup import Client, NoAnswer, UnknownCheckout
from payments.sumup.client import ANSWER_SECONDS
from payments.sumup.silence import Silence, Silent
from tests.simulator import SimulatorProcess, until

NOT_ASKED = "has just not answered"


def create(client: Client) -> None:
    client.create_checkout(
        reference="R-1",
        amount=Decimal(5),
        currency="EUR",
        description="",
        return_url="http://127.0.0.1/",
        redirect_url="http://127.0.0.1/",
        valid_until=timezone.now() + timedelta(hours=1),
    )


def words_of(ask: Callable[[], object]) -> str:
    """Why there was no answer."""
    with pytest.raises(NoAnswer) as caught:
        ask()
    return caught.value.words


@contextmanager
def silent(simulator: SimulatorProcess, operation: str, ask: Callable[[Client], object]) -> Iterator[None]:
    """SumUp was found silent, and the probe is under way as long as the block lasts: nobody else reaches SumUp."""
    simulator.faults(**{operation: "drop"})
    words_of(lambda: ask(simulator.client()))
    simulator.faults(**{operation: "hang"})
    asked = simulator.calls(operation) + 1
    with ThreadPoolExecutor() as pool:
        probe = pool.submit(ask, simulator.client())
        try:
            until(lambda: simulator.calls(operation) == asked)
            yield
            assert simulator.calls(operation) == asked
            assert not probe.done()
        finally:
            simulator.control("reset")  # lets it go, unanswered: what is only read is asked again
            probe.exception()


@pytest.mark.promise("sumup-hangs-more")
def test_only_the_probe_is_asked_while_sumup_is_silent(simulator: SimulatorProcess) -> None:
    with silent(simulator, "merchant", Client.read_merchant):
        assert NOT_ASKED in words_of(simulator.client(deadline_seconds=ANSWER_SECONDS).read_merchant)
        # Another kind of question is asked: writes may be answered where reads hang.
        with pytest.raises(UnknownCheckout):
            simulator.client().deactivate_checkout("unknown")


@pytest.mark.parametrize("answer", ["500", "401", "garbage", "huge", "429"])
@pytest.mark.promise("sumup-hangs-more")
def test_any_answer_ends_the_silence(simulator: SimulatorProcess, answer: str) -> None:
    simulator.faults(merchant="drop")
    words_of(simulator.client().read_merchant)
    simulator.faults(merchant=answer)
    with suppress(Exception):
        simulator.client().read_merchant()
    asked = simulator.calls("merchant")
    simulator.faults(merchant="hang")

    with ThreadPoolExecutor() as pool:
        for _one in range(2):
            pool.submit(simulator.client().read_merchant)
        try:
            until(lambda: simulator.calls("merchant") == asked + 2)  # neither waits for the other
        finally:
            simulator.control("reset")


@pytest.mark.promise("jobs-reconcile-refunds")
def test_a_refund_is_never_held_back(simulator: SimulatorProcess) -> None:
    """It is marked as being sent: not sent at all it would be in doubt until a person looks."""
    with silent(simulator, "create", create):
        assert NOT_ASKED in words_of(lambda: create(simulator.client(deadline_seconds=ANSWER_SECONDS)))
        with pytest.raises(Exception) as caught:  # noqa: PT011  (whichever: that it was asked is what counts)
            simulator.client().refund("unknown", None)
        assert NOT_ASKED not in str(caught.value)
        assert simulator.calls("refund") == 1


@pytest.mark.promise("jobs-reconcile-refunds")
def test_a_patient_question_waits_for_its_turn(simulator: SimulatorProcess) -> None:
    """A job that asks beside another's probe is not starved: its question follows it."""
    with ThreadPoolExecutor() as pool:
        with silent(simulator, "merchant", Client.read_merchant):
            job = pool.submit(simulator.client().read_merchant)
            simulator.faults(merchant="ok")
        assert job.result().merchant_code


def test_a_patient_question_waits_no_longer_than_leaves_time_for_an_answer(simulator: SimulatorProcess) -> None:
    with silent(simulator, "merchant", Client.read_merchant):
        began = time.monotonic()
        assert NOT_ASKED in words_of(simulator.client(deadline_seconds=ANSWER_SECONDS + 0.2).read_merchant)
        assert time.monotonic() - began >= 0.2


def unanswered(silence: Silence, *, meanwhile: Callable[[], object] = lambda: None) -> None:
    with suppress(NoAnswer), silence.turn(0):
        meanwhile()
        raise NoAnswer("time-out")


def answered(silence: Silence) -> None:
    with silence.turn(0):
        pass


def test_one_lost_answer_among_others_is_no_silence() -> None:
    """In a rush one broken connection must not send the buyers away who are answered beside it."""
    silence = Silence()
    unanswered(silence, meanwhile=lambda: answered(silence))

    with ExitStack() as stack:
        for _buyer in range(3):
            stack.enter_context(silence.turn(0))


def test_a_late_failure_leaves_one_probe_at_a_time() -> None:
    """Whoever was under way before: neither its end nor its answer lets two probes go at once."""
    silence = Silence()
    with silence.turn(0):
        unanswered(silence)
        with silence.turn(0), pytest.raises(Silent), silence.turn(0):
            pass
    unanswered(silence)
    unanswered(silence)
    with silence.turn(0), pytest.raises(Silent), silence.turn(0):
        pass


@pytest.mark.promise("jobs-reconcile-refunds")
def test_a_chain_of_questions_goes_on_one_by_one() -> None:
    """Reconcile asks one after the other: each of its questions is the probe, none is refused."""
    silence, asked = Silence(), []
    for turn in range(5):
        unanswered(silence, meanwhile=lambda turn=turn: asked.append(turn))  # type: ignore[misc]
    assert asked == [0, 1, 2, 3, 4]
