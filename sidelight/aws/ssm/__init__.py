"""Systems Manager: managed instances, their inventories, associations and data syncs."""
