"""The stand-in knows `validation_config`, as versions from July 2026 on do."""
