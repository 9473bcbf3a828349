// Devices on a simulated network: a message is acknowledged by the network, the recipient's device and its reader.

const IN_FLIGHT = 4;
const MAX_QUEUED = 100_000_000;

export class Fleet {
  #store;
  #emit;
  #devices = new Map();

  // `emit(deviceId, type, payload)` sends an event to the sockets of a device.
  constructor(store, emit) {
    this.#store = store;
    this.#emit = emit;
    for (const device of store.devices()) this.#add(device);
  }

  #add({ id, settings, state }) {
    this.#devices.set(id, { id, settings, state, me: phoneNumber(id), waiting: [], first: 0, inFlight: 0, lastSeen: null });
  }

  create(id, settings) {
    const device = { id, settings: settings?.simulator ?? {}, state: 'ready' };
    this.#store.addDevice(device);
    this.#add(device);
  }

  get(id) {
    return this.#devices.get(id);
  }

  get size() {
    return this.#devices.size;
  }

  receive(device, message) {
    const { result, events } = this.#store.ingest(device.id, device.me, message);
    device.lastSeen = Date.now();
    this.#publish(device, events, result.chatId);
    return result.id;
  }

  // Answers when the message is durable; it is sent in the background.
  send(device, to, text) {
    const { result, events } = this.#store.accept(device.id, device.me, to, text, MAX_QUEUED);
    if (result.full) return undefined;
    this.#publish(device, events, result.row.chatId);
    device.waiting.push(result.row);
    this.#dispatch(device);
    return result.answer;
  }

  #publish(device, events, changedChat) {
    for (const { type, payload } of events) this.#emit(device.id, type, payload);
    if (changedChat !== undefined) {
      this.#emit(device.id, 'chat:update', {
        deviceId: device.id, timestamp: Date.now(), chat: this.#store.chat(device.id, changedChat),
      });
    }
  }

  #dispatch(device) {
    while (device.inFlight < IN_FLIGHT && device.first < device.waiting.length) {
      const row = device.waiting[device.first];
      device.first += 1;
      device.inFlight += 1;
      setImmediate(() => this.#attempt(device, row));
    }
    if (device.first > 1_024 && device.first * 2 > device.waiting.length) {
      device.waiting = device.waiting.slice(device.first);
      device.first = 0;
    }
  }

  #attempt(device, row) {
    const { ackServerMs = 20, ackDeviceMs = 80, ackReadMs = 200 } = device.settings;
    this.#publish(device, this.#store.markSending(device.id, row).events);
    const acknowledge = (level) => this.#publish(device, this.#store.raiseAck(device.id, row, level).events);
    setTimeout(() => {
      acknowledge(1);
      device.inFlight -= 1;
      this.#dispatch(device);
    }, ackServerMs);
    if (ackDeviceMs !== null) setTimeout(() => acknowledge(2), ackDeviceMs);
    if (ackReadMs !== null) setTimeout(() => acknowledge(3), ackReadMs);
  }
}

function phoneNumber(id) {
  const digits = [...id].reduce((sum, character) => (sum * 31 + character.charCodeAt(0)) % 10_000, 7);
  return `1555019${String(digits).padStart(4, '0')}@c.us`;
}
