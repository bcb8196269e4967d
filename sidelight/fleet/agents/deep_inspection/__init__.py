"""Deep inspection: the collector that runs on instances, and the document that runs it."""
