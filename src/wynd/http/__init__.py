"""HTTP beside WebSockets, on one port."""
