"""The service of icp."""
