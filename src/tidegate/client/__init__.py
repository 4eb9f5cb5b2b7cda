"""The push API: requests and merged answers without I/O, and the clients that carry them.

`calls` says what each method sends and makes of the answers, `api` spells the methods out, `blocking` and
`asynchronous` are the two clients for programs outside the cluster.
"""
