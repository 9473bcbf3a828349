"""Sends a text. The same ORDER again within 24 hours sends nothing. Usage: send.py ORDER NUMBER TEXT"""
import sys

import wharf

order, number, text = sys.argv[1:]
print(wharf.send(f"order-{order}", {"to": number, "text": text})["id"])
