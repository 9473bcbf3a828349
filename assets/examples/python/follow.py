"""Prints incoming messages, and resumes after the event number in the file POSITION. Usage: follow.py POSITION"""
import http.client
import sys
import time

import wharf

while True:
    try:
        for event in wharf.messages(sys.argv[1]):
            if not event["message"]["fromMe"]:
                print(event["message"]["from"], event["message"]["body"], flush=True)
            wharf.write_position(sys.argv[1], event["seq"])
    except (OSError, http.client.HTTPException) as error:
        print(f"follow: {error}", file=sys.stderr)
    time.sleep(1)
