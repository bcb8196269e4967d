"""IAM's decision on a role's request: what is authorized, and whether its policies allow it.

A role without policies may do everything here, unlike at AWS: most tests are about other things.
"""
