-- One row per question that both logs have: what each says of it, and whether it becomes an outcome.
-- medium, large: tables of questions.sql.
SELECT
    medium,
    large,
    medium.query = large.query AS is_same,
    medium.targets > 1 OR large.targets > 1 AS is_contradictory
FROM medium
JOIN large USING (key)
