#!/usr/bin/env bash
# Prints incoming messages, one JSON object a line, and resumes after the event number in the file POSITION.
# Usage: follow.sh POSITION
set -euo pipefail
: "${WHARF_KEY:?}" "${WHARF_URL:=http://127.0.0.1:3000}" "${WHARF_DEVICE:=demo}"
while true; do
  after=$(cat "$1" 2>/dev/null || echo 0)
  while IFS= read -r line; do
    [[ $line == 'data: '*'"message":'* ]] || continue
    event=${line#data: }
    jq -c 'select(.message.fromMe == false) | .message | {from, body}' <<<"$event"
    jq '.seq' <<<"$event" >"$1.new" && mv "$1.new" "$1"       # after the event was processed
  done < <(curl -sSN --fail -H "X-API-KEY: $WHARF_KEY" -H 'Accept: text/event-stream' \
    "$WHARF_URL/api/v1/devices/$WHARF_DEVICE/events?types=message&after=$after")
  sleep 1
done
