-- How often judges disagree: one row per answering model and topic whose answers were judged.
-- title: Disagreement of judges
-- reads: labels
-- optional: queries
-- grain: role, model, topic
-- params: none
-- columns: role, model, topic, n, n_judged_twice, n_disagree, share, share_low, share_high, n_without_grade
-- empty: no label has votes of a judge; replayed and rule-graded labels have none
-- n answers have a vote. A judge's last vote is its word; share is of the answers on which two or three judges had one,
-- so where a second judge is asked only when the first is unsure, it is of the hard ones. n_without_grade answers have a
-- vote that no grade could be read from. 95% intervals, by Wilson.
WITH labelled AS (
    SELECT
        topic,
        medium_model,
        large_model,
        FROM_JSON(medium_votes, '[{"seat": "VARCHAR", "grade": "VARCHAR"}]') AS medium_votes,
        FROM_JSON(large_votes, '[{"seat": "VARCHAR", "grade": "VARCHAR"}]') AS large_votes
    FROM labels
    LEFT JOIN (SELECT query_id, topic FROM queries) AS topics ON topics.query_id = labels.query_id
),
-- There are few patterns of votes, and lists are slow to work on: each pattern is looked at once.
patterns AS (
    SELECT topic, medium_model, large_model, medium_votes, large_votes, COUNT(*) AS n
    FROM labelled
    GROUP BY ALL
),
answers AS (
    SELECT 'medium' AS role, medium_model AS model, topic, medium_votes AS votes, n FROM patterns
    UNION ALL
    SELECT 'large', large_model, topic, large_votes, n FROM patterns
),
words AS (
    SELECT
        role,
        model,
        topic,
        n,
        LIST_BOOL_OR([vote.grade IS NULL FOR vote IN votes]) AS has_no_grade,
        [word FOR word IN [
            [vote.grade FOR vote IN votes IF vote.seat = 'first'][-1],
            [vote.grade FOR vote IN votes IF vote.seat = 'second'][-1],
            [vote.grade FOR vote IN votes IF vote.seat = 'third'][-1]
        ] IF word IS NOT NULL] AS words
    FROM answers
    WHERE LEN(votes) > 0
),
counted AS (
    SELECT
        role,
        model,
        topic,
        CAST(SUM(n) AS BIGINT) AS n,
        CAST(COALESCE(SUM(n) FILTER (WHERE LEN(words) > 1), 0) AS BIGINT) AS n_judged_twice,
        CAST(COALESCE(SUM(n) FILTER (WHERE LEN(LIST_DISTINCT(words)) > 1), 0) AS BIGINT) AS n_disagree,
        CAST(COALESCE(SUM(n) FILTER (WHERE has_no_grade), 0) AS BIGINT) AS n_without_grade
    FROM words
    GROUP BY role, model, topic
)
SELECT
    role,
    model,
    topic,
    n,
    n_judged_twice,
    n_disagree,
    n_disagree / NULLIF(n_judged_twice, 0) AS share,
    wilson_low(n_disagree, n_judged_twice) AS share_low,
    wilson_high(n_disagree, n_judged_twice) AS share_high,
    n_without_grade
FROM counted
ORDER BY role DESC, model, topic NULLS LAST;
