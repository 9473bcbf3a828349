"""Answers each text with the same text. Usage: PYTHONPATH=../python python3 echo_bot.py POSITION"""
import http.client
import sys
import time
import urllib.error

import wharf

REFUSED = (400, 404, 413, 422)   # a repetition would be refused too


def answer(message):
    is_text = message["type"] == "chat" and message["body"]
    if message["fromMe"] or not is_text or not message["chatId"].endswith("@c.us"):
        return
    try:
        # The key makes a repetition harmless: after a crash the bot answers the last message again.
        wharf.send(f"echo-{message['id']}", {"to": message["chatId"], "text": message["body"]})
    except urllib.error.HTTPError as error:
        if error.code not in REFUSED:
            raise
        print(f"not answered: {error}", file=sys.stderr)


position = sys.argv[1]
while True:
    try:
        for event in wharf.messages(position):
            answer(event["message"])
            wharf.write_position(position, event["seq"])   # only after the answer was accepted
    except (OSError, http.client.HTTPException) as error:
        print(f"again in a second: {error}", file=sys.stderr)
    time.sleep(1)
