#!/usr/bin/env bash
# Sends a file, or saves the file of a message.
# Usage: media.sh send NUMBER FILE | media.sh save MESSAGE-ID FILE
set -euo pipefail
: "${WHARF_KEY:?}" "${WHARF_URL:=http://127.0.0.1:3000}" "${WHARF_DEVICE:=demo}"
api=$WHARF_URL/api/v1/devices/$WHARF_DEVICE
request() { curl -sS --fail-with-body -H "X-API-KEY: $WHARF_KEY" "$@"; }
case $1 in
  send)
    media=$(request -F "file=@$3" "$api/media" | jq -r .data.mediaId)
    request -H 'Content-Type: application/json' "$api/messages/send" \
      -d "$(jq -n --arg to "$2" --arg media "$media" '{to: $to, media: {mediaId: $media}}')"
    ;;
  save) request -o "$3" "$api/messages/$(jq -rn --arg id "$2" '$id | @uri')/media/download" ;;
  *) echo 'media.sh send NUMBER FILE | media.sh save MESSAGE-ID FILE' >&2; exit 2 ;;
esac
