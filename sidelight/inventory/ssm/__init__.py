"""What the SSM agent lists of a machine: inventory items -> Inventory, one module a platform."""
