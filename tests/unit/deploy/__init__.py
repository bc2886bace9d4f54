"""The files that put the project into containers, checked without a Docker engine."""
