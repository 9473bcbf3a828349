// Runs the built daemon for a test: its own data directory, a free port, a random admin key.
//
// When it is stopped, its log is searched for private data: keys, QR strings, message bodies and whole phone
// numbers. `secret()` records another private text.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const BIN = process.env.WHARF_BIN ?? fileURLToPath(new URL('../../../target/debug/wharf', import.meta.url));
const LISTENING = /wharf is listening.*?address=\\?"?(\d+\.\d+\.\d+\.\d+:\d+)/;
const START_MS = 10_000;
const STOP_MS = 12_000;
// The fictitious numbers of tests start with 1555 and have eleven digits.
// Matches whole words only: hexadecimal request ids may contain any digits.
const PHONE_NUMBER = /(?<![0-9a-zA-Z])1555\d{7}(?![0-9a-zA-Z])/;
// Matches possible keys: base64 of at least 32 bytes with digits and capitals, or 64 hexadecimal digits.
const KEY = /(?<![0-9a-zA-Z+/])(?:(?=[a-zA-Z+/]*[0-9])(?=[0-9a-z+/]*[A-Z])[0-9a-zA-Z+/]{42,}|[0-9a-f]{64,})/;

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Polls until `check` returns a truthy value and returns it; fails with `what` after `ms`. */
export async function until(check, what, ms = 5_000) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (Date.now() > end) assert.fail(`timed out after ${ms} ms: ${what}`);
    await sleep(10);
  }
}

/** An HTTP answer. */
class Answer {
  constructor(status, headers, text) {
    this.status = status;
    this.headers = headers;
    this.text = text;
  }

  get json() {
    return JSON.parse(this.text);
  }

  get data() {
    return this.json.data;
  }
}

export class Daemon {
  #env;
  #dir = mkdtempSync(join(tmpdir(), 'wharf-js-'));
  #agent = new http.Agent({ keepAlive: true, maxSockets: 32 });
  #secrets = new Set();
  #exited;
  key = `whf-test-${randomBytes(32).toString('hex')}`;
  log = '';
  address;
  child;

  constructor(env = {}) {
    this.#env = env;
    this.secret(this.key);
  }

  /** Starts a daemon and waits until it is ready. `env` holds settings such as WHARF__SOCKET__PING_INTERVAL_MS. */
  static async start(env = {}) {
    const daemon = new Daemon(env);
    await daemon.start();
    return daemon;
  }

  get url() {
    return `http://${this.address}`;
  }

  /** Starts it; after a stop or kill with the same address and data. */
  async start() {
    const devices = join(this.#dir, 'devices');
    mkdirSync(devices, { recursive: true });
    const args = ['serve', '--data-dir', join(this.#dir, 'data'), '--devices-dir', devices];
    args.push('--listen', this.address ?? '127.0.0.1:0');
    // All clients of the tests have one address, and some tests connect hundreds at once.
    const limits = { WHARF__SOCKET__MAX_ANONYMOUS_PER_ADDRESS: '1000' };
    const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('WHARF_')));
    this.child = spawn(BIN, args, {
      env: { ...clean, ...limits, WHARF_API_KEY: this.key, WHARF__LOG__LEVEL: 'debug', ...this.#env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const begin = this.log.length;
    const append = (chunk) => (this.log += chunk);
    this.child.stdout.setEncoding('utf8').on('data', append);
    this.child.stderr.setEncoding('utf8').on('data', append);
    const child = this.child;
    this.#exited = new Promise((done) => child.on('close', (code, signal) => done({ code, signal })));
    child.on('error', (error) => append(`\ncannot start ${BIN}: ${error}\n`));
    await until(() => {
      if (child.exitCode !== null || child.signalCode !== null) assert.fail(`the daemon ended:\n${this.log}`);
      // Removes colour codes from the log.
      const found = LISTENING.exec(this.log.slice(begin).replace(/\x1b\[[0-9;]*m/g, ''));
      if (found) this.address = found[1];
      return found;
    }, `the daemon logs its address:\n${this.log}`, START_MS);
    await until(async () => (await this.request('GET', '/healthz', { key: null })).status === 200, '/healthz', START_MS);
  }

  /** Records a text that must not occur in the log. */
  secret(text) {
    if (text.length >= 8) this.#secrets.add(text);
    return text;
  }

  /** A unique body, which must not occur in the log. */
  body(begin = 'hello') {
    return this.secret(`${begin} ${randomUUID()}`);
  }

  /** A request with a complete `path`. */
  request(method, path, { key = this.key, body, headers = {}, raw } = {}) {
    const all = { ...headers };
    if (key) all['X-API-KEY'] = key;
    let payload = raw;
    if (body !== undefined) {
      payload = JSON.stringify(body);
      all['Content-Type'] ??= 'application/json';
    }
    if (payload !== undefined) all['Content-Length'] = Buffer.byteLength(payload);
    const [host, port] = this.address.split(':');
    return new Promise((done, fail) => {
      const request = http.request({ host, port, method, path, headers: all, agent: this.#agent }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
        response.on('end', () => done(new Answer(response.statusCode, response.headers, text)));
        response.on('error', fail);
      });
      request.on('error', (error) => (request.reusedSocket && error.code === 'ECONNRESET' && method === 'GET'
        ? this.request(method, path, { key, body, headers, raw }).then(done, fail)
        : fail(error)));
      request.end(payload);
    });
  }

  /** A request under /api/v1 that must succeed; returns `data`. */
  async call(method, path, body, options = {}) {
    const answer = await this.request(method, `/api/v1${path}`, { body, ...options });
    const shown = `${method} ${path}: ${answer.status} ${answer.text.slice(0, 500)}`;
    assert.ok(answer.status >= 200 && answer.status < 300, shown);
    assert.equal(answer.json.success, true, shown);
    return answer.data;
  }

  /** A request to the simulator's control API. */
  simulate(device, verb, body = {}) {
    return this.call('POST', `/simulator/${device}/${verb}`, body);
  }

  network(device) {
    return this.call('GET', `/simulator/${device}/network`);
  }

  /** Sends a message from a contact; returns its id once the daemon stored it. */
  async incoming(device, from, body, more = {}) {
    this.secret(body);
    return (await this.simulate(device, 'incoming', { from, body, ...more })).messageId;
  }

  /** Creates an API key. */
  async mint(key) {
    const minted = await this.call('POST', '/api-keys', { name: 'test', ...key });
    this.secret(minted.key);
    return minted;
  }

  /** Creates a device that needs a scan or, with `autoScanMs`, links itself. */
  async device(simulator = {}, id = `d-${randomUUID().slice(0, 8)}`) {
    const quick = { ackServerMs: 20, ackDeviceMs: 60, ackReadMs: 120 };
    const device = await this.call('POST', '/devices', {
      id,
      name: 'Test phone',
      engine: 'simulator',
      settings: { simulator: { ...quick, ...simulator } },
    });
    assert.equal(device.id, id);
    return id;
  }

  /** Creates a device that is linked and ready. */
  async linked(simulator = {}, phoneNumber = '15550100099') {
    const id = await this.device(simulator);
    await this.inState(id, 'qr');
    const status = await this.call('GET', `/devices/${id}/status`);
    if (status.qr) this.secret(status.qr);
    await this.simulate(id, 'scan', { phoneNumber, clientName: 'Test account' });
    await this.inState(id, 'ready');
    return id;
  }

  async inState(id, state, ms = 8_000) {
    await until(async () => (await this.call('GET', `/devices/${id}/status`)).state === state, `${id} is ${state}`, ms);
  }

  /** The whole event log of a device, over REST. */
  async events(id) {
    const all = [];
    for (;;) {
      const after = all.length ? all[all.length - 1].seq : 0;
      const page = await this.call('GET', `/devices/${id}/events?after=${after}&limit=100`);
      if (!page.length) return all;
      all.push(...page);
    }
  }

  /** Resident memory in MiB (Linux). */
  resident() {
    const status = readFileSync(`/proc/${this.child.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024;
  }

  async #end(signal, ms) {
    this.child.kill(signal);
    const late = setTimeout(() => this.child.kill('SIGKILL'), ms);
    const end = await this.#exited;
    clearTimeout(late);
    this.#agent.destroy();
    this.#agent = new http.Agent({ keepAlive: true, maxSockets: 32 });
    return end;
  }

  /** kill -9. */
  kill() {
    return this.#end('SIGKILL', STOP_MS);
  }

  /** SIGTERM: the daemon must exit with 0 in time. */
  async term() {
    const begin = Date.now();
    const end = await this.#end('SIGTERM', STOP_MS);
    assert.deepEqual(end, { code: 0, signal: null }, `the daemon exits with 0 after SIGTERM:\n${this.log.slice(-2_000)}`);
    assert.ok(Date.now() - begin < 10_500, 'the daemon exits within 10 s of SIGTERM');
  }

  /** Stops it permanently and checks its log. */
  async stop() {
    try {
      if (this.child.exitCode === null && this.child.signalCode === null) await this.term();
      this.checkLog();
    } finally {
      this.child.kill('SIGKILL');
      this.#agent.destroy();
      rmSync(this.#dir, { recursive: true, force: true });
    }
  }

  checkLog() {
    const problems = [];
    for (const line of this.log.split('\n')) {
      const leaked = [...this.#secrets].find((secret) => line.includes(secret));
      if (leaked) problems.push(`leaks ${JSON.stringify(leaked.slice(0, 12))}…: ${line}`);
      else if (PHONE_NUMBER.test(line)) problems.push(`contains a whole phone number: ${line}`);
      else if (KEY.test(line)) problems.push(`contains a possible key: ${line}`);
      if (/panicked/.test(line)) problems.push(`panics: ${line}`);
    }
    assert.equal(problems.length, 0, `the log contains private data:\n${problems.slice(0, 8).join('\n')}`);
  }
}
