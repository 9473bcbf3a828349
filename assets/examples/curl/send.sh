#!/usr/bin/env bash
# Sends a text. The same ORDER again within 24 hours sends nothing and prints the same answer.
# Usage: send.sh ORDER NUMBER TEXT
set -euo pipefail
: "${WHARF_KEY:?}" "${WHARF_URL:=http://127.0.0.1:3000}" "${WHARF_DEVICE:=demo}"
body=$(jq -n --arg to "$2" --arg text "$3" '{to: $to, text: $text}')
# --retry repeats after a lost connection and after 429 and 503; the key makes that safe.
curl -sS --fail-with-body --retry 5 --retry-connrefused -H "X-API-KEY: $WHARF_KEY" -H 'Content-Type: application/json' \
  -H "Idempotency-Key: order-$1" -d "$body" "$WHARF_URL/api/v1/devices/$WHARF_DEVICE/messages/send"
