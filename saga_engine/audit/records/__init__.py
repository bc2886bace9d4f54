"""What happened around sagas, a file for each of those it happened to: shapes only. `history` joins them."""
