"""Looking after the database: whether it is sound, copies of it, and how a copy takes its place."""
