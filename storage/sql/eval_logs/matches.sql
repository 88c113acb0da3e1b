-- What two logs have in common: one row.
-- medium, large: tables of questions.sql.
SELECT
    count(*) FILTER (is_same AND NOT is_contradictory) AS n,
    count(*) FILTER (NOT is_same) AS changed,
    count(*) FILTER (is_same AND is_contradictory) AS contradictory,
    count(*) FILTER (is_same AND NOT is_contradictory AND is_repeated) AS repeated,
    count(*) FILTER (is_same AND NOT is_contradictory AND medium_grade = 'CORRECT') AS medium_right,
    count(*) FILTER (is_same AND NOT is_contradictory AND large_grade = 'CORRECT') AS large_right,
    (SELECT count(*) FROM medium) AS medium,
    (SELECT count(*) FROM large) AS large
FROM (
    SELECT
        medium.query = large.query AS is_same,
        medium.targets > 1 OR large.targets > 1 AS is_contradictory,
        medium.answers > 1 OR large.answers > 1 AS is_repeated,
        medium.grade AS medium_grade,
        large.grade AS large_grade
    FROM medium
    JOIN large USING (key)
)
