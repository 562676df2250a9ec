import pytest
from hypothesis import given
from hypothesis import strategies as st

from mire.budget import MAX_CALLS, MAX_OUTPUT_TOKENS, Cost, Ledger, ParameterCount, answer_tokens
from mire.errors import BudgetError


def test_the_fourth_call_is_refused_and_not_booked() -> None:
    ledger = Ledger()
    for _ in range(MAX_CALLS):
        ledger.book("s", "clip", Cost(1, 10))
    with pytest.raises(BudgetError, match="at most 3 model calls per sample: 'more' would make it 4 for sample 's'"):
        ledger.book("s", "more", Cost(1, 10))
    assert ledger.booked("s") == Cost(3, 30)
    ledger.book("other", "more", Cost(1, 10))


def test_the_101st_token_is_refused() -> None:
    ledger = Ledger()
    ledger.book("s", "a", Cost(1, 60))
    with pytest.raises(BudgetError, match="at most 100 output tokens per sample: 'b' would make it 101"):
        ledger.book("s", "b", Cost(1, 41))
    ledger.book("s", "b", Cost(1, 40))
    assert ledger.booked("s") == Cost(2, 100)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 120)), max_size=20))
def test_no_sequence_of_bookings_passes_the_limits(bookings: list[tuple[int, int]]) -> None:
    ledger = Ledger()
    for calls, tokens in bookings:
        before = ledger.booked("s")
        try:
            ledger.book("s", "v", Cost(calls, tokens))
        except BudgetError:
            assert ledger.booked("s") == before
    booked = ledger.booked("s")
    assert booked.calls <= MAX_CALLS
    assert booked.output_tokens <= MAX_OUTPUT_TOKENS


def test_two_full_7b_models_are_refused() -> None:
    with pytest.raises(BudgetError, match=r"fewer than 10,000,000,000 parameters, got 16,582,751,232: base a 8,291"):
        ParameterCount({"base a": 8_291_375_616, "base b": 8_291_375_616}).check()


def test_the_limit_itself_is_too_many() -> None:
    ParameterCount({"a": 9_999_999_999}).check()
    with pytest.raises(BudgetError, match="got 10,000,000,000"):
        ParameterCount({"a": 9_999_999_999, "b": 1}).check()


def test_answer_tokens_takes_the_longest() -> None:
    assert answer_tokens(["退款", "购物车页面"]) == 5
    assert answer_tokens(["退款", "购物车页面"], [1, 2]) == 2
