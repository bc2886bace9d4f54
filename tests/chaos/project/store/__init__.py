"""What the project under chaos keeps."""
