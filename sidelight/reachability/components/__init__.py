"""The objects of a network, read from answers and checked: records, rules, policies, changes."""
