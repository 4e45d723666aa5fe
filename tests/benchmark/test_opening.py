"""Images of a chunk opened by several threads: all of them work on it, and it comes out in its order."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError
from typing import Any

import numpy as np
import pytest

import benchmark.opening
from benchmark.opening import LEAST, Hands, Order, open_image
from models_zoo.preprocessing import shaped
from models_zoo.spec import Preprocess
from shifts.data import Examples
from shifts.errors import CorruptDataError

SQUARE = Preprocess(resize=(2, 2), crop=(2, 2))
OTHER = Preprocess(resize=(3, 3), crop=(3, 3))


def examples(payloads: list[Any]) -> Examples:
    number = len(payloads)
    return Examples(payloads=payloads, labels=np.zeros(number, np.int64), ids=[str(i) for i in range(number)])


def order(row: int, *, decoded: bool = True, geometries: tuple[Preprocess, ...] = (SQUARE,)) -> Order:
    return Order(row=row, image=None, decoded=decoded, geometries=geometries)


@pytest.mark.parametrize("number", [1, 3, 64, 1000])
def test_what_is_spread_comes_in_its_order(number: int) -> None:
    hands = Hands(3)
    assert hands.spread(lambda some: [item * 2 for item in some], range(number)) == list(
        range(0, 2 * number, 2)
    )
    hands.close()


def test_all_hands_work_on_one_chunk() -> None:
    hands, together = Hands(4), threading.Barrier(4)

    def work(some: Sequence[int]) -> Sequence[int]:
        if some[0] < 4 * LEAST:
            together.wait(timeout=20)  # breaks unless four slices of the same chunk are worked on at once
        return some

    assert hands.spread(work, range(8 * LEAST)) == list(range(8 * LEAST))
    hands.close()


def test_the_first_error_is_raised_when_all_hands_are_free_again() -> None:
    hands, at_work, begun = Hands(2), threading.Semaphore(0), []

    def work(some: Sequence[int]) -> Sequence[int]:
        begun.append(some[0])
        if some[0] == 0:
            at_work.acquire(timeout=20)  # another slice is being worked on
            raise MemoryError("too many")
        at_work.release()
        return some

    with pytest.raises(MemoryError, match="too many"):
        hands.spread(work, range(1000))
    number = len(begun)
    assert hands.spread(lambda some: some, range(3)) == [0, 1, 2], "they can work again"
    assert number == len(begun), "nothing of the failed work goes on"
    hands.close()


def test_work_that_is_given_up_keeps_nobody_waiting() -> None:
    hands, begun, go_on = Hands(1), threading.Event(), threading.Event()
    ended: list[Exception] = []

    def work(some: Sequence[int]) -> Sequence[int]:
        begun.set()
        go_on.wait(timeout=20)
        return some

    def wait_for_it() -> None:
        try:
            hands.spread(work, range(10 * LEAST))
        except (CancelledError, RuntimeError) as error:  # the latter where it came too late to begin
            ended.append(error)

    waiting = threading.Thread(target=wait_for_it)
    waiting.start()
    begun.wait(timeout=20)
    closing = threading.Thread(target=hands.close)
    closing.start()
    time.sleep(0.05)  # what had not begun is cancelled by now
    go_on.set()
    for thread in (closing, waiting):
        thread.join(timeout=20)
        assert not thread.is_alive()
    assert len(ended) == 1


def test_an_image_has_its_shapes_and_keeps_its_pixels_where_they_are_wanted() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    found = open_image(examples([pixels]), order(0), alone=False)
    np.testing.assert_array_equal(found.decoded, pixels)
    assert found.broken is None
    assert [shape.shape for shape in found.shapes.values() if isinstance(shape, np.ndarray)] == [(2, 2, 3)]
    assert open_image(examples([pixels]), order(0, decoded=False), alone=False).decoded is None
    given = Order(row=0, image=pixels[:2], decoded=True, geometries=())
    np.testing.assert_array_equal(open_image(examples([b"not read"]), given, alone=False).decoded, pixels[:2])


def test_what_cannot_be_read_or_shaped_says_why_and_keeps_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    broken = open_image(examples([b"no image"]), order(0), alone=False)
    assert isinstance(broken.broken, CorruptDataError)
    assert not broken.shapes

    def narrow(image: Any, geometry: Preprocess) -> Any:
        if geometry == OTHER:
            raise ValueError("too narrow")
        return shaped(image, geometry)

    monkeypatch.setattr(benchmark.opening, "shaped", narrow)
    found = open_image(examples([pixels]), order(0, geometries=(OTHER, SQUARE)), alone=False)
    assert str(found.shapes[OTHER]) == "too narrow"
    assert isinstance(found.shapes[SQUARE], np.ndarray)


class Short:
    def __len__(self) -> int:
        return 1

    def __getitem__(self, _: int) -> bytes:
        raise MemoryError


def test_lack_of_memory_is_an_error_of_the_image_only_where_it_is_alone() -> None:
    short = Examples(payloads=Short(), labels=np.zeros(1, np.int64), ids=["a"])
    with pytest.raises(MemoryError):
        open_image(short, order(0), alone=False)
    assert isinstance(open_image(short, order(0), alone=True).broken, MemoryError)
