"""What the ledger project keeps."""
