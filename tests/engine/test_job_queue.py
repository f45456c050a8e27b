"""One queue for the device: order of arrival, visible positions, released however a job ends."""

import threading
import time
from collections.abc import Iterator

import pytest

from hallulab.engine.job_queue import JobQueue


def test_positions_count_the_jobs_in_front_and_move_up():
    queue = JobQueue()
    first, second, third = (queue.enter(label) for label in ("ask", "paint", "ask"))
    assert [ticket.position for ticket in (first, second, third)] == [0, 1, 2]
    assert queue.n_waiting == 2
    second.leave()  # gives up while waiting
    assert third.position == 1
    first.leave()
    assert third.position == 0
    assert queue.holder is third
    assert queue.n_waiting == 0


def test_waiting_ends_at_the_turn_or_at_the_time_limit():
    queue = JobQueue()
    with queue.enter("ask") as first, queue.enter("ask") as second:
        assert first.wait(0)
        assert not second.wait(0.01)
        first.leave()
        assert second.wait(0)


def test_jobs_run_one_at_a_time_and_in_order_of_arrival():
    queue, log = JobQueue(), []

    def work(name: int) -> None:
        with queue.job("ask"):
            log.append(("start", name))
            time.sleep(0.002)
            log.append(("end", name))

    threads = []
    with queue.enter("ask") as gate:
        gate.wait()
        for name in range(8):
            threads.append(threading.Thread(target=work, args=(name,)))
            threads[-1].start()
            while queue.n_waiting < name + 1:
                time.sleep(0.001)
    for thread in threads:
        thread.join(10)
    assert log == [(what, name) for name in range(8) for what in ("start", "end")]
    assert queue.holder is None


def test_a_raising_job_releases_the_device():
    queue = JobQueue()
    with pytest.raises(ZeroDivisionError), queue.job("ask"):
        raise ZeroDivisionError
    assert queue.holder is None


def holding(queue: JobQueue) -> Iterator[int]:
    with queue.job("paint"):
        yield from range(100)


def test_closing_a_generator_that_holds_the_device_releases_it():
    queue = JobQueue()
    steps = holding(queue)
    next(steps)
    assert queue.holder is not None
    steps.close()
    assert queue.holder is None


def test_a_generator_resumed_and_closed_on_other_threads_releases_the_device():
    queue = JobQueue()
    steps = holding(queue)
    for action in (lambda: next(steps), lambda: next(steps), steps.close):
        thread = threading.Thread(target=action)
        thread.start()
        thread.join(10)
    assert queue.holder is None


def waiting(queue: JobQueue) -> Iterator[str]:
    with queue.enter("ask") as ticket:
        for position in ticket.positions(poll_s=0.001):
            yield f"{position} in front"
        yield "my turn"


def test_a_waiting_generator_tells_its_position_and_can_be_closed_while_it_waits():
    queue = JobQueue()
    with queue.enter("ask"), queue.enter("ask") as second:
        steps = waiting(queue)
        assert next(steps) == "2 in front"
        second.leave()
        assert next(steps) == "1 in front"
        steps.close()
        assert queue.n_waiting == 0
    later = waiting(queue)
    assert next(later) == "my turn"
    later.close()
