"""Helpers for frameworks, each for whoever has that framework; nothing else of Tidegate imports them."""
