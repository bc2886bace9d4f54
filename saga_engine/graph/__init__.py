"""Pictures of a saga's steps: Mermaid text and SVG. Above core, knows no I/O and no state of a saga."""
