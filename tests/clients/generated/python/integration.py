"""A typical integration on the generated client; checked by mypy in strict mode."""

from http import HTTPStatus

from wharf_client import AuthenticatedClient
from wharf_client.api.chats import list_chats
from wharf_client.api.devices import change_device, create_device, delete_device, get_device, get_qr_png, list_devices
from wharf_client.api.messages import get_message, send_message
from wharf_client.models.change_device import ChangeDevice
from wharf_client.models.create_device import CreateDevice
from wharf_client.models.device import Device
from wharf_client.models.device_state import DeviceState
from wharf_client.models.error import Error
from wharf_client.models.message_status import MessageStatus
from wharf_client.models.priority import Priority
from wharf_client.models.send_text import SendText
from wharf_client.types import UNSET, Unset


def devices(client: AuthenticatedClient) -> list[Device]:
    """All devices of the key."""
    answer = list_devices.sync(client=client)
    assert answer is not None and not isinstance(answer, Error), answer
    return answer.data


def ready(client: AuthenticatedClient) -> list[str]:
    """The ids of devices that are ready."""
    return [device.id for device in devices(client) if device.state is DeviceState.READY]


def create(client: AuthenticatedClient, name: str) -> str:
    """Creates a device and returns its id."""
    answer = create_device.sync_detailed(client=client, body=CreateDevice(name=name))
    assert answer.status_code is HTTPStatus.CREATED and not isinstance(answer.parsed, Error | None), answer
    return answer.parsed.data.id


def rename(client: AuthenticatedClient, device: str, name: str) -> str:
    """Renames a device and returns its new name."""
    answer = change_device.sync(device, client=client, body=ChangeDevice(name=name))
    assert answer is not None and not isinstance(answer, Error), answer
    return answer.data.name


def delete(client: AuthenticatedClient, device: str) -> bool:
    """Deletes a device with its data."""
    answer = delete_device.sync(device, client=client, keep_messages=False)
    assert answer is not None and not isinstance(answer, Error), answer
    return answer.data.deleted


def send(client: AuthenticatedClient, device: str, to: str, text: str, order: str) -> str:
    """Sends a message once per order and returns its id."""
    body = SendText(to=to, text=text, priority=Priority.HIGH)
    answer = send_message.sync(device, client=client, body=body, idempotency_key=order)
    assert answer is not None and not isinstance(answer, Error), answer
    assert answer.data.status is MessageStatus.QUEUED
    return answer.data.id


def status(client: AuthenticatedClient, device: str, message: str) -> MessageStatus:
    """The status of a message."""
    answer = get_message.sync(device, message, client=client)
    assert answer is not None and not isinstance(answer, Error), answer
    return answer.data.status


def code(client: AuthenticatedClient, device: str) -> bytes | None:
    """The image of the QR code, if there is one."""
    answer = get_qr_png.sync(device, client=client)
    return None if answer is None or isinstance(answer, Error) else answer.payload.read()


def why_no_device(client: AuthenticatedClient, device: str) -> str | None:
    """The stable code of the error."""
    answer = get_device.sync(device, client=client)
    return answer.code if isinstance(answer, Error) else None


def wrong_fields(client: AuthenticatedClient, device: str, limit: int) -> list[str]:
    """The invalid fields of a request."""
    answer = list_chats.sync(device, client=client, limit=limit, search=UNSET)
    assert isinstance(answer, Error), answer
    details = answer.details
    return [] if isinstance(details, Unset) else [detail.field for detail in details]
