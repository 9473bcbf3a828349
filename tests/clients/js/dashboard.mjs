// A dashboard: a real socket.io-client on one device's namespace, which notes all that it is told and checks what
// holds for every event.
import assert from 'node:assert/strict';
import { io } from 'socket.io-client';
import { sleep, until } from './daemon.mjs';

export const PATH = '/ws';
// Each stands in the event log, so its payload has a `seq`.
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
  /** Disconnects and refusals: their reasons and messages. */
  disconnects = [];
  refusals = [];
  /** What broke a rule that holds for every event. */
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
    this.socket.onAny((name, payload, ...rest) => this.#note(name, payload, rest));
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

  #note(name, payload, rest) {
    const at = `${name} ${JSON.stringify(payload)?.slice(0, 300)}`;
    const wrong = (what) => this.problems.push(`${what}: ${at}`);
    this.all.push({ name, payload });
    if (rest.length) wrong('more than one argument');
    if (payload === null || typeof payload !== 'object') return wrong('no object');
    if (payload.deviceId !== this.device) wrong('wrong deviceId');
    if (!Number.isInteger(payload.timestamp) || String(payload.timestamp).length !== 13) wrong('wrong timestamp');
    if (name === 'qr') this.#daemon.secret(payload.qr);
    if (UNLOGGED.has(name) && payload.seq !== undefined) wrong('seq on an event outside the log');
    if (payload.seq === undefined) {
      if (LOGGED.has(name) && name !== 'state') wrong('no seq');
      return;
    }
    this.#order(name, payload.seq, wrong);
  }

  // `message-ack` is the alias of `message:ack`: the same entry, so the same seq. Both names, in either order.
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

  /** The next seq may be any: after `resync`. */
  anySeq() {
    this.#expectSeq = true;
  }

  named(name) {
    return this.all.filter((event) => event.name === name).map((event) => event.payload);
  }

  /** The first event of that name for which `check` holds, now or soon. */
  async next(name, check = () => true, ms = 5_000) {
    return until(() => this.named(name).find(check), `${this.device}: ${name}; came: ${this.summary()}`, ms);
  }

  summary() {
    return this.all.slice(-40).map(({ name, payload }) => `${name}${payload?.seq ? `#${payload.seq}` : ''}`).join(' ');
  }

  /** Emits with a callback; gives what the callback got. */
  ask(name, ...args) {
    return this.socket.timeout(5_000).emitWithAck(name, ...args);
  }

  /** Sends a text; gives the callback's answer, which is a success. */
  async send(to, text, more = {}) {
    const answer = await this.ask('message:send', { to, text: this.#daemon.secret(text), ...more });
    assert.equal(answer.success, true, JSON.stringify(answer));
    return answer;
  }

  /** No rule was broken. */
  check() {
    assert.deepEqual(this.problems, [], `${this.device}: ${this.summary()}`);
  }

  close() {
    this.socket.disconnect();
    this.check();
  }

  /** Waits until nothing came for `ms`. */
  async quiet(ms = 200) {
    for (let count = -1; count !== this.all.length; ) {
      count = this.all.length;
      await sleep(ms);
    }
  }
}

/** How a connection is refused: the message of its connect_error. */
export async function refusal(daemon, device, options) {
  const dashboard = new Dashboard(daemon, device, options);
  await until(() => dashboard.refusals.length || dashboard.socket.connected, 'connected or refused');
  dashboard.socket.disconnect();
  assert.equal(dashboard.refusals.length, 1, 'it was let in');
  assert.deepEqual(dashboard.all, [], 'it was told something before it was refused');
  return dashboard.refusals[0];
}

/** A failure, as callbacks get it. */
export function assertFailure(answer, code) {
  const shown = JSON.stringify(answer);
  assert.equal(answer?.success, false, shown);
  assert.equal(typeof answer.error, 'string', shown);
  assert.ok(answer.error.length > 0, shown);
  assert.match(answer.code, /^[a-z0-9_]+$/, shown);
  if (code) assert.equal(answer.code, code, shown);
}
