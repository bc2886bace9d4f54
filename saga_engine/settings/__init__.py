"""The settings of a project. Knows no file, environment variable or flag: `configuration` reads those."""
