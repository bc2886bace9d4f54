"""New saga projects: the template, which is a project itself, and how it is copied. Knows no command line."""
