"""The AWS calls of the code, the roles that make them, and the policies that allow them.

`call_catalogue` lists each call. `target_policies` and `hub_policies` are the one source of
deploy/iam, of the policies in deploy/cloudformation, and of the table in docs/accounts.md: `make
iam` writes these. Nothing here calls AWS.
"""
