"""Stand-ins for the original's four processes, scripted from its recorded packets and the page on the wire.

They share no code with Tidegate but the reading of PHP's values, which has vectors of its own, and they hold a Tidegate
process to what the original would bear: whatever the original does not know is kept in `strange`.
"""
