"""The commands, a file each: parse, call, print. Imported when they are used."""
