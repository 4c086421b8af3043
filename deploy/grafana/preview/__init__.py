"""Pictures of the dashboards for the documents: the same questions, put to real programs about made-up nights."""
