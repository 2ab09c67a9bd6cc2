"""What a draft may say, and how it is checked. Pure."""
