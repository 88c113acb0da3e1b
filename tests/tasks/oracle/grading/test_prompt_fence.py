"""The code of a fence: the same for the same texts, different for others, in none of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routecal.tasks.oracle import prompt_files
from routecal.tasks.oracle.prompt_files import CODE_LENGTH, fence_code, fenced

TEXTS = st.lists(st.text(st.characters(), max_size=30), min_size=1, max_size=4)


@given(texts=TEXTS)
def test_a_code_is_stable_and_in_no_text(texts: list[str]) -> None:
    code = fence_code(texts)
    assert (len(code), code) == (CODE_LENGTH, fence_code(list(texts)))
    assert all(code not in text.casefold() for text in texts)
    # quoting the code of a text changes the code
    assert fence_code([*texts, code.upper()]) != code


def test_where_one_text_ends_counts() -> None:
    assert len({fence_code(texts) for texts in (["ab", ""], ["a", "b"], ["", "ab"], ["ab"], ["b", "a"])}) == 5


@pytest.mark.parametrize("spelled", ["{}", "x{}y", "{}{}"])
def test_a_code_that_a_text_holds_is_not_taken(spelled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = ["aaaa", "bbbb", "cccc"]
    monkeypatch.setattr(prompt_files, "_digest", lambda _texts, attempt: codes[attempt])
    assert fence_code([spelled.format("AAAA", "AAAA"), "bbbb"]) == "cccc"
    assert fence_code(["bbbb"]) == "aaaa"


def test_text_between_its_lines_is_untouched() -> None:
    assert fenced("ANSWER", "\n a\r\n", "00ff") == "--- begin ANSWER 00ff ---\n\n a\r\n\n--- end ANSWER 00ff ---"
