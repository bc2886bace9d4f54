"""What commands print about sagas: plain functions from data to lines and JSON."""
