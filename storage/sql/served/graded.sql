-- Decisions whose answers somebody graded: one row per decision, in the order in which the newest grades came.
-- reads: decisions, feedback
-- params: none
-- columns: those of decisions, graded_at, medium_was_right, large_was_right, medium_grade, large_grade
-- Of several words on one model's answer the newest counts. A model is right to the share in [0, 1] that its word says;
-- its grade is CORRECT from one half on. Both are NULL where nobody graded it.
WITH words AS (
    SELECT
        f.decision_id,
        CASE f.about WHEN 'served' THEN d.served ELSE f.about END AS model,
        f.at AS said_at,
        f.feedback_id,
        COALESCE(f.score, CAST(f.correct AS DOUBLE), CAST(f.label = 'CORRECT' AS DOUBLE)) AS is_right,
        f.label
    FROM feedback AS f
    JOIN decisions AS d USING (decision_id)
),
newest AS (
    SELECT *
    FROM words
    WHERE is_right IS NOT NULL
    QUALIFY ROW_NUMBER() OVER (PARTITION BY decision_id, model ORDER BY said_at DESC, feedback_id) = 1
),
grades AS (
    SELECT
        decision_id,
        MAX(said_at) AS graded_at,
        MAX(is_right) FILTER (WHERE model = 'medium') AS medium_right,
        MAX(is_right) FILTER (WHERE model = 'large') AS large_right,
        MAX(label) FILTER (WHERE model = 'medium') AS medium_label,
        MAX(label) FILTER (WHERE model = 'large') AS large_label
    FROM newest
    GROUP BY decision_id
)
SELECT
    d.*,
    g.graded_at,
    g.medium_right AS medium_was_right,
    g.large_right AS large_was_right,
    COALESCE(g.medium_label, CASE WHEN g.medium_right >= 0.5 THEN 'CORRECT' WHEN g.medium_right < 0.5 THEN 'INCORRECT' END)
        AS medium_grade,
    COALESCE(g.large_label, CASE WHEN g.large_right >= 0.5 THEN 'CORRECT' WHEN g.large_right < 0.5 THEN 'INCORRECT' END)
        AS large_grade
FROM grades AS g
JOIN decisions AS d USING (decision_id)
ORDER BY g.graded_at, decision_id
