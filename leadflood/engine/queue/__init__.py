"""The durable queue: stages, claims, hand-off through memory, group commit, crashes, runs."""
