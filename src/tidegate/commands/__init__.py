"""Commands of the command line that stand by themselves, and what they share."""
