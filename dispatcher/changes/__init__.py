"""Changes in accounts as EventBridge reports them: received from a queue, validated, handled."""
