"""What every room stands on: lazy values, checks of options, the cache folder, retries, steps."""

__all__: list[str] = []
