"""Names of events that one part of a deployment sends and another listens to."""

# `routecal serve-router` sends it where graded answers, or other queries, speak against the head that serves.
SERVING_ALARM = "routecal.serving.alarm"
