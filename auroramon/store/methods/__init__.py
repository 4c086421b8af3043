"""What `Store` can do, one noun a module; each method is one transaction."""
