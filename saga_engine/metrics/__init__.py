"""What a process tells about itself over HTTP: metrics, and whether it lives and is ready. Off unless configured."""
