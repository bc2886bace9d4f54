#!/bin/sh
# Prints a password or token for everything in compose.yaml that wants one: sh deploy/make-env.sh > .env
set -eu
umask 077

secret() {
    # A letter first: nats-server takes an unquoted value that begins with a digit for a number.
    printf '%s=s%s\n' "$1" "$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')"
}

for user in deploy orchestrator projections eventstore api cli operator doctor worker_order worker_payment worker_review; do
    secret "SAGA_NATS_$(printf '%s' "$user" | tr '[:lower:]' '[:upper:]')"
done
secret NATS_CLUSTER_PASSWORD
secret ORDER_API_TOKEN
secret EVENTSTORE_TOKEN
