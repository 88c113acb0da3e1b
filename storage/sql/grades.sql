-- Grades of the two models against each other: one row per pair that occurs, at most nine.
-- title: Grades, medium x large
-- reads: labels
-- grain: medium_grade, large_grade
-- params: none
-- columns: medium_grade, large_grade, n, share
-- overview: yes
-- share is of all labels, in [0, 1].
SELECT medium_grade, large_grade, COUNT(*) AS n, COUNT(*) / SUM(COUNT(*)) OVER () AS share
FROM labels
GROUP BY medium_grade, large_grade
ORDER BY medium_grade, large_grade;
