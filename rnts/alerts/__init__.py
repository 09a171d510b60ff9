"""The life of alerts, from a rule's truth to what is done about it; `docs/alerts.md` defines it."""
