#!/usr/bin/env bash
# Prints incoming messages, one JSON object a line, and resumes after the event number in the file POSITION.
# Usage: follow.sh POSITION
set -euo pipefail
: "${WHARF_KEY:?}" "${WHARF_URL:=http://127.0.0.1:3000}" "${WHARF_DEVICE:=demo}"
while true; do
  after=$(cat "$1" 2>/dev/null || echo 0)
  while IFS= read -r line; do
    [[ $line == 'data: '* ]] || continue
    event=${line#data: }
    # The log no longer reaches back, or is an older one, of a backup.
    if newest=$(jq -e '.newestSeq' <<<"$event"); then
      ((after > newest)) && next=$newest || next=$(jq '.oldestSeq - 1' <<<"$event")
      echo "resync: events after $after are missing, continued after $next: reload over REST" >&2
      echo "$next" >"$1.new" && mv "$1.new" "$1"
      break
    fi
    [[ $event == *'"message":'* ]] || continue
    jq -c 'select(.message.fromMe == false) | .message | {from, body}' <<<"$event"
    jq '.seq' <<<"$event" >"$1.new" && mv "$1.new" "$1"       # after the event was processed
  done < <(curl -sSN --fail -H "X-API-KEY: $WHARF_KEY" -H 'Accept: text/event-stream' \
    "$WHARF_URL/api/v1/devices/$WHARF_DEVICE/events?types=message&after=$after")
  sleep 1
done
