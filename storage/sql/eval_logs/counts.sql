-- What two logs have in common: one row.
-- medium, large: tables of questions.sql; matches: the rows of matches.sql.
SELECT
    count(*) FILTER (is_same AND NOT is_contradictory) AS n,
    count(*) FILTER (NOT is_same) AS changed,
    count(*) FILTER (is_same AND is_contradictory) AS contradictory,
    count(*) FILTER (is_same AND NOT is_contradictory AND (medium.answers > 1 OR large.answers > 1)) AS repeated,
    count(*) FILTER (is_same AND NOT is_contradictory AND medium.grade = 'CORRECT') AS medium_right,
    count(*) FILTER (is_same AND NOT is_contradictory AND large.grade = 'CORRECT') AS large_right,
    (SELECT count(*) FROM medium) AS medium,
    (SELECT count(*) FROM large) AS large
FROM matches
