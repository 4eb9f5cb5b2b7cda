"""How the members of a cluster find each other: through Register."""
