"""Sets of addresses, ports and packets: exact, as intervals. They know nothing of AWS."""
