"""What this project keeps in its databases: tables, the queries over them, and their migrations."""
