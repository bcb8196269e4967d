"""How a network's objects hang together: topology, route tables, load balancers and targets."""
