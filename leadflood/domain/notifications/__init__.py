"""What people should know without asking: written once, read by whom it concerns."""
