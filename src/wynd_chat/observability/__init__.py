"""What operators see of a running chat: logs, metrics, health. Knows no face, no store."""
