"""Register: the process where the members of a cluster meet."""
