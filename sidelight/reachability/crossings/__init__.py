"""Where routes lead: gateways, peerings, transit gateways and endpoints, as the walk's steps."""
