"""What stands on an index and is served: pages for people, on this machine alone."""
