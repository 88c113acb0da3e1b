-- One row per question of one log: its first answer, and the share of its answers that are right.
-- staged: a log's graded samples. key: the column that says which question it is, `id` or `query`.
-- The first answer is a fair draw of what the model does; of several, the best or the most frequent one is not.
WITH question AS (
    SELECT
        {key} AS key,
        min(position) AS place,
        arg_min(position, (repeat, position)) AS first,
        avg((grade = 'CORRECT')::DOUBLE) AS share_right,
        count(*) AS answers,
        count(DISTINCT target) AS targets
    FROM {staged}
    GROUP BY ALL
)
SELECT question.*, staged.* EXCLUDE (position, repeat)
FROM question
JOIN {staged} AS staged ON staged.position = question.first
