"""Keys of many prompts at once are those of each call by itself."""

from dataclasses import replace

import pytest

from routecal.tasks.oracle.call import Call

PROMPTS = [
    "",
    "Which city?",
    'Said "no"\\?\n',
    "Où est Nice ? 🙂",
    "\ud800",
    "\0the prompt\0",
    '"contents":"x"',
    " " * 9,
]
CALL = Call("gemini", "m", "Be brief.", "anything", {"max_output_tokens": 5, "thinking_level": None}, "p@1")


@pytest.mark.parametrize("call", [CALL, replace(CALL, system="", sample=2), replace(CALL, prompt="\0the prompt\0")])
def test_keys_of_many_prompts(call: Call) -> None:
    keys = call.keys(PROMPTS)
    assert keys == [replace(call, prompt=prompt).key for prompt in PROMPTS]
    assert len(set(keys)) == len(PROMPTS)
