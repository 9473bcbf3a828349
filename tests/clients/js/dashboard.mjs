// A dashboard: a real socket.io-client on one device's namespace. It records every event and checks the rules that
// apply to all events.
import assert from 'node:assert/strict';
import { io } from 'socket.io-client';
import { sleep, until } from './daemon.mjs';

export const PATH = '/ws';
// Events of the log; their payloads have a `seq`.
export const LOGGED = new Set([
  'qr', 'authenticated', 'ready', 'state', 'disconnected', 'message', 'message:created', 'message:status',
  'message:ack', 'message:read', 'message:reaction', 'message:edited', 'message:revoked', 'contact:update',
  'group:update', 'call', 'history:progress', 'notification',
]);
const UNLOGGED = new Set(['typing:start', 'typing:stop', 'presence', 'chat:update', 'connection:status', 'error', 'resync']);

export class Dashboard {
  #daemon;
  #expectSeq;
  /** Every event in the order of arrival: { name, payload }. */
  all = [];
  /** Reasons of disconnects, and messages of refused connections. */
  disconnects = [];
  refusals = [];
  /** Violations of the rules for all events. */
  problems = [];
  lastSeq;

  /** `options` go to socket.io-client; `since` goes into `auth`. */
  constructor(daemon, device, { since, key = daemon.key, reuse, ...options } = {}) {
    this.#daemon = daemon;
    this.device = device;
    this.lastSeq = since;
    const settings = {
      path: PATH,
      transports: ['websocket'],
      reconnection: false,
      forceNew: true,
      query: key ? { apiKey: key } : {},
      ...options,
    };
    if (since !== undefined) settings.auth = { ...settings.auth, since };
    this.socket = reuse
      ? reuse.socket.io.socket(`/device/${device}`, settings)
      : io(`${daemon.url}/device/${device}`, settings);
    this.socket.onAny((name, payload, ...rest) => this.#record(name, payload, rest));
    this.socket.on('disconnect', (reason) => this.disconnects.push(reason));
    this.socket.on('connect_error', (error) => this.refusals.push(error.message));
    if (reuse) this.socket.connect();
  }

  /** A dashboard that is connected and has its `state` snapshot. */
  static async open(daemon, device, options) {
    const dashboard = new Dashboard(daemon, device, options);
    await dashboard.connected();
    return dashboard;
  }

  async connected(ms = 5_000) {
    await until(() => this.socket.connected || this.refusals.length > 0, `${this.device}: connected or refused`, ms);
    assert.ok(this.socket.connected, `refused: ${this.refusals.join(', ')}`);
    await until(() => this.named('state').length > 0, `${this.device}: state on connect`, ms);
    return this;
  }

  #record(name, payload, rest) {
    const at = `${name} ${JSON.stringify(payload)?.slice(0, 300)}`;
    const wrong = (what) => this.problems.push(`${what}: ${at}`);
    const previous = this.all.at(-1);
    this.all.push({ name, payload });
    if (rest.length) wrong('more than one argument');
    if (payload === null || typeof payload !== 'object') return wrong('not an object');
    if (payload.deviceId !== this.device) wrong('wrong deviceId');
    if (!Number.isInteger(payload.timestamp) || String(payload.timestamp).length !== 13) wrong('wrong timestamp');
    if (name === 'qr') this.#daemon.secret(payload.qr);
    if (UNLOGGED.has(name) && payload.seq !== undefined) wrong('seq on an event outside the log');
    if (payload.seq === undefined) {
      // The snapshots on connect: the state, and the current code behind it.
      const isCode = name === 'qr' && previous?.name === 'state' && previous.payload.seq === undefined;
      if (LOGGED.has(name) && name !== 'state' && !isCode) wrong('no seq');
      return;
    }
    this.#order(name, payload.seq, wrong);
  }

  // `message-ack` is an alias of `message:ack`: both names have the same seq, in either order.
  #order(name, seq, wrong) {
    if (name === 'message:ack' || name === 'message-ack') {
      const pending = this.ackPair;
      if (pending && pending.seq === seq && pending.name !== name) {
        this.ackPair = undefined;
        return;
      }
      if (pending) wrong(`only one of message:ack and message-ack for seq ${pending.seq}`);
      this.ackPair = { name, seq };
    } else if (this.ackPair) {
      wrong(`only one of message:ack and message-ack for seq ${this.ackPair.seq}`);
      this.ackPair = undefined;
    }
    if (this.lastSeq !== undefined && seq !== this.lastSeq + 1 && !this.#expectSeq) {
      wrong(`seq ${seq} after ${this.lastSeq}`);
    }
    this.#expectSeq = false;
    this.lastSeq = seq;
  }

  /** Accepts any next seq, as after `resync`. */
  anySeq() {
    this.#expectSeq = true;
  }

  named(name) {
    return this.all.filter((event) => event.name === name).map((event) => event.payload);
  }

  /** Waits for the first event of this name that fulfils `check`. */
  async next(name, check = () => true, ms = 5_000) {
    return until(() => this.named(name).find(check), `${this.device}: ${name}; received: ${this.summary()}`, ms);
  }

  summary() {
    return this.all.slice(-40).map(({ name, payload }) => `${name}${payload?.seq ? `#${payload.seq}` : ''}`).join(' ');
  }

  /** Emits with an acknowledgement and returns it. */
  ask(name, ...args) {
    return this.socket.timeout(5_000).emitWithAck(name, ...args);
  }

  /** Sends a text and returns the successful acknowledgement. */
  async send(to, text, more = {}) {
    const answer = await this.ask('message:send', { to, text: this.#daemon.secret(text), ...more });
    assert.equal(answer.success, true, JSON.stringify(answer));
    return answer;
  }

  /** Asserts that no rule was violated. */
  check() {
    assert.deepEqual(this.problems, [], `${this.device}: ${this.summary()}`);
  }

  close() {
    this.socket.disconnect();
    this.check();
  }

  /** Waits until no event arrived for `ms`; nothing else marks the end of a burst. */
  async quiet(ms = 200) {
    for (let count = -1; count !== this.all.length; ) {
      count = this.all.length;
      await sleep(ms);
    }
  }
}

/** Connects and returns the message of the connect_error. */
export async function refusal(daemon, device, options) {
  const dashboard = new Dashboard(daemon, device, options);
  await until(() => dashboard.refusals.length || dashboard.socket.connected, 'connected or refused');
  dashboard.socket.disconnect();
  assert.equal(dashboard.refusals.length, 1, 'the connection was accepted');
  assert.deepEqual(dashboard.all, [], 'events arrived before the refusal');
  return dashboard.refusals[0];
}

/** Asserts a failed acknowledgement. */
export function assertFailure(answer, code) {
  const shown = JSON.stringify(answer);
  assert.equal(answer?.success, false, shown);
  assert.equal(typeof answer.error, 'string', shown);
  assert.ok(answer.error.length > 0, shown);
  assert.match(answer.code, /^[a-z0-9_]+$/, shown);
  if (code) assert.equal(answer.code, code, shown);
}
