-- Decisions, counted: one row per minute, model that served, status, and time to decide.
-- reads: decisions
-- params: none
-- columns: minute, served, status, seconds, n
-- Times to decide lie on a grid, each at most 1 % from what it was: so there are few rows, however many decisions.
SELECT
    date_trunc('minute', "at") AS minute,
    served,
    status,
    EXP(ROUND(LN(GREATEST(decided_s, 1e-6)) / 0.02) * 0.02) AS seconds,
    COUNT(*) AS n
FROM decisions
GROUP BY ALL
