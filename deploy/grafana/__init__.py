"""Dashboards for Grafana as code: `python -m deploy.grafana` writes dashboards/*.json."""
