"""A sample of labels for people to grade, and what their grades say of the judge."""
