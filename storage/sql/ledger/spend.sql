-- What was spent: one row per day (UTC), model and stage, newest day first. SQLite and PostgreSQL.
-- params: none
-- columns: day, model, stage, calls, attempts, tokens_prompt, tokens_cached, tokens_output, tokens_thinking, usd, maybe_usd, n_unknown
-- calls have a response, attempts none that is usable. usd is known cost and NULL where none is known; n_unknown counts
-- calls without a price. maybe_usd is an upper bound of what those and the attempts may have cost on top.
WITH entries AS (
    SELECT
        SUBSTR(ended_at, 1, 10) AS day, model, stage, 1 AS call, 0 AS attempt,
        tokens_prompt, tokens_cached, tokens_output, tokens_thinking,
        usd, CASE WHEN usd IS NULL THEN reserved_usd ELSE 0.0 END AS maybe_usd, CASE WHEN usd IS NULL THEN 1 ELSE 0 END AS unknown
    FROM calls
    WHERE state = 'ended'
    UNION ALL
    SELECT SUBSTR(at, 1, 10), model, stage, 0, 1, NULL, NULL, NULL, NULL, NULL, usd, 0
    FROM attempts
)
SELECT
    day,
    model,
    stage,
    CAST(SUM(call) AS BIGINT) AS calls,
    CAST(SUM(attempt) AS BIGINT) AS attempts,
    CAST(SUM(tokens_prompt) AS BIGINT) AS tokens_prompt,
    CAST(SUM(tokens_cached) AS BIGINT) AS tokens_cached,
    CAST(SUM(tokens_output) AS BIGINT) AS tokens_output,
    CAST(SUM(tokens_thinking) AS BIGINT) AS tokens_thinking,
    SUM(usd) AS usd,
    SUM(maybe_usd) AS maybe_usd,
    CAST(SUM(unknown) AS BIGINT) AS n_unknown
FROM entries
GROUP BY day, model, stage
ORDER BY day DESC, model, stage
