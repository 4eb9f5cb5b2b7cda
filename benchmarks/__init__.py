"""What Tidegate costs, each figure beside a reference taken in the same run.

    python -m benchmarks NAME [--json FILE] [--runs N]

| NAME | measures |
|---|---|
| fanout | a message to 5,000 members, one at a time and 40 at once |
| room | the rate at which 5,000 members hear what one says, and what bystanders notice of it |
| echo | messages through gateway and worker, with each kind of handler |
| memory | bytes an idle client costs gateway and worker |
| handshake | WebSockets opened |
| push | calls of `send_to_uid` from a website and in a worker |
| growth | one push, while the cluster grows |
| scale | messages per CPU second with one, two and four gateway processes |
| cluster | a push through 4, 8, 16 and 32 gateways, on NATS and on a Register |
| all | all of these but `cluster` |
| peers | fanout, room and echo of other servers, as far as they are installed (see peers/README.md) |
| report | draws a chart of what --json has written |

It starts the real thing, `tidegate start` with the apps of `apps.py`, next to servers without features (`reference/`,
in C, or `bare.py` where there is no compiler). Load on both comes from a process of its own, which has the other core
where there are two. A machine is noisy: what counts is the ratio. Linux only, since the load uses epoll.
"""
