"""Users: invited, changed and disabled by an administrator; the settings of the team."""
