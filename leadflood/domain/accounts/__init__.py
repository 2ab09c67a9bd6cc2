"""Who may do what: people, their sessions and keys, and the record of privileged acts."""
