"""Prints each line of its standard input."""
import sys

print("listening", flush=True)
for line in sys.stdin:
    print("heard " + line.rstrip("\n"), flush=True)
