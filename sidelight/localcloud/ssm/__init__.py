"""Systems Manager in the local cloud: agents, associations, inventories and data syncs.

moto has none of these operations. Requests are checked by botocore's model of the service.
"""
