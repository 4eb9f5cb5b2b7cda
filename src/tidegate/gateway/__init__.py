"""The gateway process: holds the clients, their uids, groups and sessions, and runs none of the business code."""
