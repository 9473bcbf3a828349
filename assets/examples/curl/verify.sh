#!/usr/bin/env bash
# Verifies a webhook request whose body is on standard input. Exit code 0: it is from Wharf and at most 5 minutes old.
# Usage: verify.sh WEBHOOK-ID WEBHOOK-TIMESTAMP WEBHOOK-SIGNATURE
set -euo pipefail
: "${WHARF_WEBHOOK_SECRET:?}"
[[ $2 =~ ^[0-9]{1,12}$ ]] || { echo 'wrong timestamp' >&2; exit 1; }
age=$(($(date +%s) - 10#$2))
((age >= -300 && age <= 300)) || { echo 'too old' >&2; exit 1; }
secret=$(base64 -d <<<"${WHARF_WEBHOOK_SECRET#whsec_}" | od -An -vtx1 | tr -d ' \n')
expected=v1,$({ printf '%s.%s.' "$1" "$2"; cat; } | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$secret" -binary | base64)
for signature in $3; do
  [[ $signature != "$expected" ]] || exit 0
done
echo 'wrong signature' >&2
exit 1
