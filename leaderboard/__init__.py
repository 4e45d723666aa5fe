"""Who is ahead: submissions, verification, ranking."""
