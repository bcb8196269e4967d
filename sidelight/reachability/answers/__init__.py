"""AWS's answers to describe calls: the requests, saved answers, and their members."""
