"""What an answer is worth: fenced text, exact match, judges that vote, and how their votes become a grade."""
