"""Tidegate, a real-time push gateway."""
