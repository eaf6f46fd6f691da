"""What every room stands on: lazy values, checks of options, the cache folder, retries, steps."""
