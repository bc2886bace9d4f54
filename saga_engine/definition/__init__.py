"""The definition language: from YAML text to a checked, frozen model."""
