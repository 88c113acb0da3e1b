"""The label stage in simulated time: real quota windows, made durations, no calls."""

import heapq
import random
from collections import deque

from routecal.tasks.oracle.rate_limit.sliding_window import Bucket

# A wait of less than the clock tells apart would go on for ever.
TICK_S = 1e-6


def simulated_s(n: int, *, rpm: float, concurrency: int, answer_s: float, judge_s: float, seed: int = 0) -> float:
    """Seconds until n queries are labelled: two answers side by side, then a judgement on each by a third model.

    Every model has a window of its own of `rpm` calls a minute (`Bucket`, as the engine has it) and `concurrency`
    places; a call lasts its mean times a draw between .5 and 1.5. No more queries are open than places.
    """
    draw = random.Random(seed)
    means = {"medium": answer_s, "large": answer_s, "judge": judge_s}
    windows = {model: Bucket(rpm, 60.0, now=0.0) for model in means}
    waiting: dict[str, deque[int]] = {model: deque() for model in means}
    free = dict.fromkeys(means, concurrency)
    answers, verdicts = [2] * n, [2] * n
    running: list[tuple[float, str, int]] = []
    now, opened, done = 0.0, 0, 0
    while done < n:
        while opened < n and opened - done < concurrency:
            waiting["medium"].append(opened)
            waiting["large"].append(opened)
            opened += 1
        again = []
        for model, queue in waiting.items():
            while queue and free[model]:
                if (wait := windows[model].wait_s(1, now=now)) > 0:
                    again.append(now + wait + TICK_S)
                    break
                windows[model].take(1, now=now)
                free[model] -= 1
                heapq.heappush(running, (now + means[model] * draw.uniform(0.5, 1.5), model, queue.popleft()))
        now = min([*again, *(end for end, _, _ in running[:1])])
        while running and running[0][0] <= now:
            _, model, query = heapq.heappop(running)
            free[model] += 1
            if model == "judge":
                verdicts[query] -= 1
                done += not verdicts[query]
            else:
                answers[query] -= 1
                # Both answers are judged once both are there, as the engine does.
                waiting["judge"].extend([query, query] if not answers[query] else [])
    return now
