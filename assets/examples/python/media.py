"""Sends a file or saves one. Usage: media.py send NUMBER FILE | media.py save MESSAGE-ID FILE"""
import shutil
import sys
import urllib.parse

import wharf

command, target, path = sys.argv[1:]
if command == "send":
    with open(path, "rb") as file:
        media = wharf.call("/media", file.read(), {"Content-Type": "application/octet-stream"})
    print(wharf.call("/messages/send", {"to": target, "media": {"mediaId": media["mediaId"]}})["id"])
elif command == "save":
    message = urllib.parse.quote(target, safe="")
    with wharf.request(f"/messages/{message}/media/download") as answer, open(path, "wb") as file:
        shutil.copyfileobj(answer, file)
else:
    sys.exit(__doc__)
