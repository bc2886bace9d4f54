"""What the flows project keeps."""
