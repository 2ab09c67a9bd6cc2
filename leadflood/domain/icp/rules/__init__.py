"""The rules of icp."""
