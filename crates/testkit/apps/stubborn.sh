#!/bin/sh
# Ignores what it is asked by; only SIGKILL ends it.
trap '' INT TERM
echo ready
while :; do sleep 1; done
