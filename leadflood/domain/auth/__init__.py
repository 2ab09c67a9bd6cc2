"""Authentication and authorization: logins, sessions, API keys, and what each role may do."""
