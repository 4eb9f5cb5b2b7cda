"""A cluster on NATS, of which each container runs a member: `tidegate start app.py:gateways` or `app.py:workers`."""

from tidegate import App, BusinessWorker, Gateway

# Where the cluster is, its secret and this host's address come from the environment: TIDEGATE_CLUSTER,
# TIDEGATE_SECRET_KEY, TIDEGATE_LAN_IP.
gateway = Gateway("websocket://0.0.0.0:7272", name="gateway")
business = BusinessWorker(name="business")

gateways = App(gateway)
workers = App(business)


@business.on_message
def say(_, message):
    business.send_to_all(message)
