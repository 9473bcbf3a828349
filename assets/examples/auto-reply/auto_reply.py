"""Answers the first message of each chat and day. Usage: PYTHONPATH=../python python3 auto_reply.py POSITION TEXT"""
import http.client
import sys
import time
import urllib.error

import wharf

REFUSED = (400, 404, 413, 422)   # a repetition would be refused too


def answer(message, text):
    if message["fromMe"] or not message["chatId"].endswith("@c.us"):
        return
    day = message["timestamp"] // 86_400_000
    try:
        # The same key sends nothing again: one answer for each chat and day (UTC), also after a crash.
        wharf.send(f"auto-reply-{message['chatId']}-{day}", {"to": message["chatId"], "text": text})
    except urllib.error.HTTPError as error:
        if error.code not in REFUSED:
            raise
        print(f"not answered: {error}", file=sys.stderr)


position, text = sys.argv[1:]
while True:
    try:
        for event in wharf.messages(position):
            answer(event["message"], text)
            wharf.write_position(position, event["seq"])   # only after the answer was accepted
    except (OSError, http.client.HTTPException) as error:
        print(f"again in a second: {error}", file=sys.stderr)
    time.sleep(1)
