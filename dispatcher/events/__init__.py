"""Publication of events to EventBridge, SNS or a file."""
