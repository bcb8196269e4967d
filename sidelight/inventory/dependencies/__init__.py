"""Which packages of a machine require which: what their files declare, resolved by names."""
