"""The use cases of users and of the team."""
