"""The SDK of projections: what a file with a read model imports."""

from saga_engine.projections.projection import Context, Projection, on

__all__ = ["Context", "Projection", "on"]
