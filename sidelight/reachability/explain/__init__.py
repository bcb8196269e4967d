"""One question: the path of its packets, or the control that stops them."""
